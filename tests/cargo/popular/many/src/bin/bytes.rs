use bytes::{Buf, BufMut, BytesMut};

fn main() {
    let mut buffer = BytesMut::with_capacity(64);
    buffer.put_u32(7);
    buffer.put(&b"seven"[..]);
    let mut bytes = buffer.freeze();
    assert_eq!((bytes.get_u32(), &bytes[..]), (7, &b"seven"[..]));
    println!("works");
}
