use tantivy::collector::TopDocs;
use tantivy::query::QueryParser;
use tantivy::schema::{STORED, Schema, TEXT, Value};
use tantivy::{Index, TantivyDocument, doc};

// An index in /tmp, whose writer has threads of its own.
fn main() -> tantivy::Result<()> {
    let mut fields = Schema::builder();
    let title = fields.add_text_field("title", TEXT | STORED);
    let body = fields.add_text_field("body", TEXT);
    std::fs::create_dir("/tmp/index")?;
    let index = Index::create_in_dir("/tmp/index", fields.build())?;
    let mut writer = index.writer_with_num_threads(1, 15_000_000)?;
    for n in 0..500 {
        writer.add_document(doc!(title => format!("number {n}"), body => "sheep that jump"))?;
    }
    writer.add_document(doc!(title => "a wolf", body => "it waits for the sheep"))?;
    writer.commit()?;
    let searcher = index.reader()?.searcher();
    let query = QueryParser::for_index(&index, vec![title, body]).parse_query("waits AND sheep")?;
    let found = searcher.search(&query, &TopDocs::with_limit(10))?;
    assert_eq!(found.len(), 1);
    let document: TantivyDocument = searcher.doc(found[0].1)?;
    assert_eq!(document.get_first(title).and_then(|value| value.as_str()), Some("a wolf"));
    println!("works");
    Ok(())
}
