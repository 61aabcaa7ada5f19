//! The syntax tree of a function.

fn main() {
    let mut parser = tree_sitter::Parser::new();
    parser.set_language(&tree_sitter_rust::LANGUAGE.into()).unwrap();
    let tree = parser.parse("fn main() { let x = 1; }", None).unwrap();
    assert_eq!(tree.root_node().child(0).unwrap().kind(), "function_item");
    assert!(!tree.root_node().has_error());
    println!("works");
}
