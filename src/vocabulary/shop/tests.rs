//! The shop vocabulary by its literal bytes, both ways: what each event means, and how each answer and event is spelt.
//!
//! What lives here: the frames of `tests/fixtures/shop/`, and the snapshots of what they are read as. What must not: what a server does
//! with them.

mod decode;
mod encode;

/// Compares with a snapshot among the fixtures.
fn snapshot(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/shop"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}
