use image::{ImageFormat, Rgb, RgbImage, imageops};
use std::io::Cursor;

fn main() {
    let picture = RgbImage::from_fn(64, 64, |x, y| Rgb([x as u8, y as u8, 7]));
    let mut png = Cursor::new(Vec::new());
    picture.write_to(&mut png, ImageFormat::Png).unwrap();
    let read = image::load_from_memory(png.get_ref()).unwrap().to_rgb8();
    assert_eq!(read, picture);
    let small = imageops::resize(&read, 8, 8, imageops::FilterType::Triangle);
    assert_eq!(small.dimensions(), (8, 8));
    println!("works");
}
