fn main() {
    let bar = indicatif::ProgressBar::new(100);
    (0..100).for_each(|_| bar.inc(1));
    bar.finish_with_message("done");
    println!("works");
}
