//! What is written about the settings says what the table of settings says: `config/haggle.toml` and the README.
//! `UPDATE=1 cargo test settings` writes both anew from the table.

use std::{fs, iter, path::PathBuf};

use haggle::config::{
    Settings,
    table::{Kind, SETTINGS, Setting},
};

const BEGIN: &str = "<!-- settings: begin (written by `UPDATE=1 cargo test settings`) -->\n";
const END: &str = "<!-- settings: end -->";

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The file says what is wanted; or, when asked to, is made to.
#[track_caller]
fn says(name: &str, found: &str, wanted: &str) {
    if std::env::var_os("UPDATE").is_some() {
        let written = fs::write(file(name), wanted);
        assert!(written.is_ok(), "{name} cannot be written: {written:?}");
        return;
    }
    assert_eq!(found, wanted, "{name} does not fit the table of settings: UPDATE=1 cargo test settings");
}

fn value_in_toml(setting: &Setting) -> String {
    match setting.kind {
        Kind::Whole { .. } => setting.default.to_owned(),
        _ => format!("\"{}\"", setting.default),
    }
}

fn config_file() -> String {
    let head = "# Every setting of Haggle, commented out, at its default. All *.toml files of this folder are read in the\n\
                # order of their names, `development.toml` and `production.toml` only in the mode they are named after.\n\
                # A flag, and then a variable, wins over what stands here.\n";
    let part = |setting: &Setting| {
        let mut lines = vec![String::new(), format!("# {}", setting.meaning)];
        lines.push(format!("# {} · --{}", setting.variable(), setting.flag()));
        if !setting.otherwise.is_empty() {
            lines.push(format!("# default: {}", setting.otherwise));
        }
        lines.push(format!("#{} = {}", setting.key, value_in_toml(setting)));
        lines.extend(setting.file_key().map(|key| format!("#{key} = \"\"")));
        lines.join("\n") + "\n"
    };
    iter::once(head.to_owned()).chain(SETTINGS.iter().map(part)).collect()
}

fn readme_table() -> String {
    let head = "| variable | meaning | default |\n| --- | --- | --- |\n";
    let row = |setting: &Setting| {
        let default =
            if setting.otherwise.is_empty() { format!("`{}`", setting.default) } else { setting.otherwise.to_owned() };
        format!("| `{}` | {} | {default} |\n", setting.variable(), setting.meaning)
    };
    iter::once(head.to_owned()).chain(SETTINGS.iter().map(row)).collect()
}

#[test]
fn the_config_file_says_what_the_table_says() {
    let name = "config/haggle.toml";
    says(name, &fs::read_to_string(file(name)).unwrap_or_default(), &config_file());
}

#[test]
fn the_config_file_changes_nothing_with_or_without_its_comments() {
    let shown = |text: &str| {
        let dir = tempfile::TempDir::new().unwrap();
        fs::write(dir.path().join("haggle.toml"), text).unwrap();
        format!("{:?}", Settings::load([], iter::empty(), dir.path()).unwrap().redacted())
    };
    let text = config_file();
    let bare: Vec<_> = text.lines().map(|line| line.strip_prefix('#').unwrap_or(line)).collect();
    let bare: Vec<_> = bare.into_iter().filter(|line| !line.starts_with(' ')).collect();
    assert!(bare.contains(&"port = 3000"), "{bare:?}");
    assert_eq!(shown(&text), shown(&bare.join("\n")));
    assert_eq!(shown(&text), shown(""));
}

#[test]
fn the_readme_says_what_the_table_says() {
    let name = "README.md";
    let text = fs::read_to_string(file(name)).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("the README has no place for the settings");
    let (_, after) = rest.split_once(END).expect("the README's settings have no end");
    says(name, &text, &format!("{before}{BEGIN}{}{END}{after}", readme_table()));
}
