//! Settings that stand in files: `*.toml`, and files that hold one secret each.

use std::{
    ffi::OsStr,
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use config::{FileFormat, Source, Value, ValueKind};

use super::{Given, Layer, is_known, nearest, unknown};

/// The bytes that a secret's file may have; far more than any secret, far less than a mistake such as a disk image.
const MAX_SECRET_FILE_BYTES: u64 = 65_536;

/// The `*.toml` files of the folder, in the order of their names.
pub(super) fn toml_files(dir: &Path, problems: &mut Vec<String>) -> Vec<PathBuf> {
    let listed = fs::read_dir(dir).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    let mut files: Vec<_> = match listed {
        Ok(entries) => entries.into_iter().map(|entry| entry.path()).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => {
            problems.push(format!("{}: cannot be listed: {error}", dir.display()));
            Vec::new()
        }
    };
    files.retain(|file| file.extension() == Some(OsStr::new("toml")));
    files.sort();
    files
}

/// One layer to each file whose name without `.toml` is wanted.
pub(super) fn from_files(files: &[PathBuf], wanted: impl Fn(&str) -> bool, problems: &mut Vec<String>) -> Vec<Layer> {
    files
        .iter()
        .filter(|file| file.file_stem().and_then(OsStr::to_str).is_none_or(&wanted))
        .map(|file| from_file(file, problems))
        .collect()
}

fn from_file(file: &Path, problems: &mut Vec<String>) -> Layer {
    let read = fs::read_to_string(file).map_err(|error| error.to_string());
    from_text(&file.display().to_string(), read, problems)
}

/// One layer from the text of the file of this name.
pub(super) fn from_text(file: &str, text: Result<String, String>, problems: &mut Vec<String>) -> Layer {
    let mut layer = Layer::default();
    let parsed = text.and_then(|text| {
        let source = config::File::from_str(&text, FileFormat::Toml);
        source.collect().map_err(|error| error.to_string())
    });
    let mut values: Vec<_> = match parsed {
        Ok(values) => values.into_iter().collect(),
        Err(error) => {
            problems.push(format!("{file}: {}", without_source(&error)));
            return layer;
        }
    };
    values.sort_by(|(one, _), (other, _)| one.cmp(other));
    for (key, value) in values {
        let origin = format!("`{key}` in {file}");
        if !is_known(&key) {
            problems.push(unknown(&origin, nearest(&key).map(|key| format!("`{key}`"))));
        } else if let Some(text) = flat(value) {
            layer.set(&key, text, origin, problems);
        } else {
            problems.push(format!("{origin}: a value is text, a number, true or false, or a list of texts"));
        }
    }
    layer
}

/// An error of the TOML reader without the line it quotes in between, which may be a secret's.
fn without_source(error: &str) -> String {
    let mut lines = error.lines().filter(|line| !line.trim().is_empty());
    let first = lines.next().unwrap_or_default();
    lines.next_back().map_or_else(|| first.to_owned(), |last| format!("{first}: {last}"))
}

/// A TOML value as the text that a variable would hold; a list's parts come with commas between them.
fn flat(value: Value) -> Option<String> {
    match value.kind {
        ValueKind::Array(parts) => {
            let parts: Option<Vec<_>> = parts.into_iter().map(flat).collect();
            Some(parts?.join(","))
        }
        ValueKind::Table(_) | ValueKind::Nil => None,
        _ => value.into_string().ok(),
    }
}

/// The secret in the file that was named. The line end that editors and `echo` leave is not part of it.
pub(super) fn read_secret(named: &Given, problems: &mut Vec<String>) -> Option<Given> {
    // A device has no length: what counts is what comes.
    let read = fs::File::open(&named.text).and_then(|file| {
        let mut text = String::new();
        if file.take(MAX_SECRET_FILE_BYTES + 1).read_to_string(&mut text)? as u64 > MAX_SECRET_FILE_BYTES {
            return Err(io::Error::other(format!(
                "it is larger than {MAX_SECRET_FILE_BYTES} bytes, so it cannot be the right file"
            )));
        }
        Ok(text)
    });
    let text = read.map(|text| text.trim_end_matches(['\r', '\n']).to_owned());
    let wrong = match text {
        Ok(text) if !text.trim().is_empty() => {
            let origin = format!("{} ({})", named.origin, named.text);
            return Some(Given { text, origin });
        }
        Ok(_) => "is empty".to_owned(),
        Err(error) => format!("cannot be read: {error}"),
    };
    // Not naming the file: who confuses the two variables has the secret itself in this one.
    problems.push(format!("{}: the file that it names {wrong}", named.origin));
    None
}
