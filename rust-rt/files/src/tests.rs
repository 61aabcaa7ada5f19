use super::lies::{SMALL, at_once, walk};
use super::superblock::{self, Superblock};
use super::*;
use alloc::string::String;
use alloc::vec::Vec;

fn small() -> Image<&'static [u8]> {
    at_once(Image::open(SMALL)).expect("a sound image")
}

fn contents<S: Source>(image: &Image<S>, path: &str) -> Result<String, Error> {
    at_once(async {
        let inode = image.find(path.as_bytes(), true).await?;
        let mut bytes = std::vec![0; inode.size as usize];
        let n = image.read_at(&inode, 0, &mut bytes).await?;
        assert_eq!(n, bytes.len());
        Ok(String::from_utf8(bytes).expect("text"))
    })
}

#[test]
fn the_superblock_is_read() {
    let bytes = SMALL[1024..][..superblock::SIZE].try_into().unwrap();
    let found = Superblock::parse(bytes).unwrap();
    assert_eq!((found.block(), found.built, found.metadata), (512, 1_000_000_000, 0));
    assert_eq!(found.blocks as usize * 512, SMALL.len());
    // mkfs.erofs makes none for blocks as small as these.
    assert_eq!(found.checksum, None);
}

#[test]
fn checksums_are_castagnolis() {
    // RFC 3720, B.4: 32 bytes of zeros, there inverted. The four bytes that are left out are zero anyway.
    assert_eq!(!superblock::checksum(&[0; 32]), 0x8a91_36aa);
}

#[test]
fn what_is_in_files_is_read() {
    let image = small();
    for (path, expected) in [
        ("hello.txt", "Hello, files\n"),
        ("/sub/up", "Hello, files\n"),
        ("//sub/./../sub/x", "x"),
        ("../../hello.txt", "Hello, files\n"),
        ("sub/deeper/number-10", "10"),
        ("sub/deeper/number-39", "39"),
        ("empty", ""),
    ] {
        assert_eq!(contents(&image, path).as_deref(), Ok(expected), "{path}");
    }
    assert_eq!(contents(&image, "abs").unwrap(), "L".repeat(1300));
    for (path, error) in [
        ("nothing", Error::NotFound),
        ("sub/deeper/number-1", Error::NotFound),
        ("sub/deeper/zzz", Error::NotFound),
        ("sub/deeper/!", Error::NotFound),
        ("hello.txt/x", Error::NotDirectory),
        ("hello.txt/", Error::NotDirectory),
        ("loop", Error::Loop),
        ("sub", Error::IsDirectory),
        (&"x".repeat(256), Error::NameTooLong),
        (&"x/".repeat(2048), Error::NameTooLong),
    ] {
        assert_eq!(contents(&image, path), Err(error), "{path}");
    }
}

#[test]
fn parts_of_files_are_read() {
    let image = small();
    let inode = at_once(image.find(b"sub/deeper/long.bin", true)).unwrap();
    for (offset, len, expected) in
        [(0, 1, 1), (510, 4, 4), (1000, 400, 300), (1299, 9, 1), (1300, 9, 0), (u64::MAX, 9, 0)]
    {
        let mut out = std::vec![b'?'; len];
        assert_eq!(at_once(image.read_at(&inode, offset, &mut out)), Ok(expected));
        let read = out.iter().take_while(|&&byte| byte == b'L').count();
        assert_eq!(read, expected, "{len} from {offset}");
    }
}

#[test]
fn what_is_known_about_a_file_is_told() {
    let image = small();
    let hello = at_once(image.find(b"hello.txt", true)).unwrap();
    assert_eq!((hello.kind(), hello.mode, hello.size), (Kind::File, 0o100_644, 13));
    assert_eq!((hello.modified, hello.modified_ns, hello.links), (981_173_106, 0, 1));
    let x = at_once(image.find(b"sub/x", true)).unwrap();
    assert_eq!((x.mode, x.owner), (0o100_600, (0, 0)));
    let up = at_once(image.find(b"sub/up", false)).unwrap();
    assert_eq!((up.kind(), at_once(image.target(&up))), (Kind::Link, Ok(b"../hello.txt".to_vec())));
    assert_eq!(at_once(image.target(&x)), Err(Error::WrongKind));
    assert_eq!(at_once(image.read_at(&up, 0, &mut [0])), Err(Error::WrongKind));
}

#[test]
fn directories_are_listed_in_order() {
    let image = small();
    let names = |path: &str| {
        let entries = at_once(async {
            let directory = image.find(path.as_bytes(), true).await?;
            image.list(&directory).await
        })?;
        let name = |entry: Entry| (String::from_utf8(entry.name).unwrap(), entry.kind);
        Ok::<Vec<_>, Error>(entries.into_iter().map(name).collect())
    };
    let root = names("").unwrap();
    let expected = [
        ("abs", Kind::Link),
        ("empty", Kind::File),
        ("hello.txt", Kind::File),
        ("loop", Kind::Link),
        ("sub", Kind::Directory),
    ];
    assert_eq!(root, expected.map(|(name, kind)| (name.into(), kind)));
    let deeper = names("sub/deeper/").unwrap();
    assert_eq!(deeper.len(), 31);
    assert!(deeper.is_sorted_by_key(|(name, _)| name.clone()));
    assert_eq!(names("hello.txt"), Err(Error::NotDirectory));
}

#[test]
fn no_image_is_none() {
    let open = |bytes: &[u8]| at_once(Image::open(bytes)).err();
    let outside = Some(Error::Disk(mirust_block::Error::OutOfRange));
    assert_eq!(open(&[]), outside);
    assert_eq!(open(&[0; 4096]), Some(Error::Corrupt("no EROFS superblock")));
    assert_eq!(open(&SMALL[..1100]), outside);
    assert_eq!(open(&SMALL[..SMALL.len() - 1]), Some(Error::Corrupt("it is longer than the disk")));
    let changed = |at: usize, byte: u8| {
        let mut image = SMALL.to_vec();
        image[1024 + at] = byte;
        open(&image)
    };
    assert_eq!(changed(8, 3), Some(Error::Corrupt("the superblock's checksum is another")));
    assert_eq!(changed(0xc, 60), Some(Error::Corrupt("an impossible block size")));
    assert!(matches!(changed(0x50, 2), Some(Error::Unsupported(_))));
    assert!(matches!(changed(0x53, 0x80), Some(Error::Unsupported("unknown features"))));
}

#[test]
fn any_byte_may_lie() {
    let honest = SMALL.to_vec();
    walk(&honest);
    for at in 1024..honest.len() {
        // Each byte lies in one way, and its neighbours in the others: numbers have several bytes.
        let byte = honest[at];
        let lies = [0, 0xff, byte ^ 1, byte ^ 0x80, byte.wrapping_add(12)];
        let mut image = honest.clone();
        image[at] = lies[at % lies.len()];
        walk(&image);
    }
}

#[test]
fn an_image_may_end_anywhere() {
    let honest = SMALL.to_vec();
    for end in (0..honest.len()).step_by(37) {
        walk(&honest[..end]);
        // And where it says that it does.
        let mut image = honest[..end].to_vec();
        if let Some(blocks) = image.get_mut(1024 + 0x24..1024 + 0x28) {
            blocks.copy_from_slice(&((end / 512) as u32).to_le_bytes());
            walk(&image);
        }
    }
}

#[test]
fn many_bytes_may_lie() {
    let honest = SMALL.to_vec();
    let mut state = 1_u64;
    let mut below = |limit: usize| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % limit
    };
    for _ in 0..1000 {
        let mut image = honest.clone();
        for _ in 0..1 + below(24) {
            let at = 1024 + below(image.len() - 1024);
            image[at] = below(256) as u8;
        }
        walk(&image);
    }
}
