//! Where values come from: flags over environment over files. Gathers them by key with their origin and refuses what
//! the table does not know. What a value means is for `parse`.

mod files;

use std::{collections::BTreeMap, path::Path};

use config::{Config, Map, Source, Value, ValueKind};

use files::{from_files, read_secret, toml_files};

use super::table::{self, PREFIX, SETTINGS, Setting};

/// Variables of our prefix that are not settings: the tests' name for the binary, which they hand on to it.
const NOT_SETTINGS: &[&str] = &["HAGGLE_BIN"];

/// The second name of `HAGGLE_DATABASE_URL`, which many platforms set by themselves.
const SECOND_NAME: (&str, &str) = ("DATABASE_URL", "database_url");

/// The largest share of a name, in percent, that may be misspelled for another to be offered instead.
const MAX_MISSPELLED_PERCENT: usize = 40;

/// A value and the place it was set in, as an operator would name that place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Given {
    pub(super) text: String,
    pub(super) origin: String,
}

/// Everything that was set, the stronger layer having won.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) values: BTreeMap<&'static str, Given>,
    pub(super) problems: Vec<String>,
}

/// One source of settings, already in our keys.
#[derive(Debug, Clone, Default)]
struct Layer(Map<String, Value>);

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, config::ConfigError> {
        Ok(self.0.clone())
    }
}

impl Layer {
    /// Sets a key from what the operator called `origin`. An empty value counts as unset.
    fn set(&mut self, key: &str, text: String, origin: String, problems: &mut Vec<String>) {
        if text.trim().is_empty() {
            return;
        }
        let twin = twin_of(key);
        if let Some(twin) = &twin {
            let other = self.0.get(twin).filter(|v| v.kind != ValueKind::Nil);
            if let Some(other) = other.and_then(Value::origin) {
                problems.push(format!("{other} and {origin} both give the same secret: keep one of them"));
            }
            // A secret given either way hides what a weaker layer gave the other way.
            self.0.entry(twin.clone()).or_insert_with(|| Value::new(None, ValueKind::Nil));
        }
        self.0.insert(key.to_owned(), Value::new(Some(&origin), text));
    }
}

/// The other key by which the same secret can be given, if the key is one of a secret's.
fn twin_of(key: &str) -> Option<String> {
    SETTINGS.iter().find_map(|setting| {
        let file = setting.file_key()?;
        if setting.key == key { Some(file) } else { (file == key).then(|| setting.key.to_owned()) }
    })
}

/// Gathers all layers. `mode` reads the mode from what is known before any file named after a mode is opened.
pub(super) fn gather(
    flags: impl IntoIterator<Item = (String, String)>,
    env: impl Iterator<Item = (String, String)>,
    dir: &Path,
    mode: impl Fn(&Gathered) -> &'static str,
) -> Gathered {
    let mut problems = Vec::new();
    let flags = from_flags(flags, &mut problems);
    let (second, env) = from_env(env, &mut problems);
    let files = toml_files(dir, &mut problems);

    let shared = from_files(&files, |stem| !is_mode(stem), &mut Vec::new());
    let strong = [second, env, flags];
    let before = merge(shared.iter().chain(&strong), Vec::new());
    let mode = mode(&before);

    // The files of the mode in force join in name order; what is wrong with any of them is told this time.
    let named = from_files(&files, |stem| !is_mode(stem) || stem == mode, &mut problems);
    let gathered = merge(named.iter().chain(&strong), problems);
    refuse_hidden_mode(gathered, &before)
}

/// What a single file of this text gives.
#[cfg(any(test, fuzzing))]
pub(super) fn from_toml(text: &str) -> Gathered {
    let mut problems = Vec::new();
    let layer = files::from_text("a.toml", Ok(text.to_owned()), &mut problems);
    merge([layer].iter(), problems)
}

/// A file that is read because of the mode cannot set the mode.
fn refuse_hidden_mode(mut gathered: Gathered, before: &Gathered) -> Gathered {
    let (now, then) = (gathered.values.get("mode"), before.values.get("mode"));
    if let Some(now) = now.filter(|now| Some(*now) != then) {
        gathered.problems.push(format!(
            "{}: a file named after a mode is read because of the mode, so it cannot set it; set HAGGLE_MODE, --mode, \
             or `mode` in a file of another name",
            now.origin
        ));
    }
    gathered
}

fn is_mode(stem: &str) -> bool {
    matches!(table::find("mode"), Some(Setting { kind: table::Kind::Choice(modes), .. }) if modes.contains(&stem))
}

fn from_flags(flags: impl IntoIterator<Item = (String, String)>, problems: &mut Vec<String>) -> Layer {
    let mut layer = Layer::default();
    for (key, text) in flags {
        let origin = format!("--{}", key.replace('_', "-"));
        if is_known(&key) {
            layer.set(&key, text, origin, problems);
        } else {
            let nearest = nearest(&key).map(|key| format!("--{}", key.replace('_', "-")));
            problems.push(unknown(&origin, nearest));
        }
    }
    layer
}

/// The layer of the second name, and above it the layer of our own variables.
fn from_env(env: impl Iterator<Item = (String, String)>, problems: &mut Vec<String>) -> (Layer, Layer) {
    let (mut second, mut layer) = (Layer::default(), Layer::default());
    let mut ours: Vec<_> = env
        .filter(|(name, _)| name.starts_with(PREFIX) || name == SECOND_NAME.0)
        .filter(|(name, _)| !NOT_SETTINGS.contains(&name.as_str()))
        .collect();
    ours.sort();
    for (name, text) in ours {
        if name == SECOND_NAME.0 {
            second.set(SECOND_NAME.1, text, name, problems);
            continue;
        }
        let key = name.strip_prefix(PREFIX).unwrap_or_default();
        let lower = key.to_lowercase();
        if is_known(&lower) && key == key.to_uppercase() {
            layer.set(&lower, text, name, problems);
        } else {
            let nearest = nearest(&lower).map(|key| format!("{PREFIX}{}", key.to_uppercase()));
            problems.push(unknown(&name, nearest));
        }
    }
    (second, layer)
}

fn merge<'a>(layers: impl Iterator<Item = &'a Layer>, mut problems: Vec<String>) -> Gathered {
    let builder = layers.fold(Config::builder(), |builder, layer| builder.add_source(layer.clone()));
    let merged = builder.build().and_then(|config| config.collect());
    let merged = merged.unwrap_or_else(|error| {
        problems.push(error.to_string());
        Map::new()
    });
    let mut values = BTreeMap::new();
    for setting in SETTINGS {
        let direct = merged.get(setting.key).and_then(given);
        let file = setting.file_key().and_then(|key| given(merged.get(&key)?));
        let file = file.and_then(|file| read_secret(&file, &mut problems));
        if let Some(given) = direct.or(file) {
            values.insert(setting.key, given);
        }
    }
    Gathered { values, problems }
}

fn given(value: &Value) -> Option<Given> {
    let origin = value.origin().unwrap_or_default().to_owned();
    let text = value.clone().into_string().ok()?;
    (value.kind != ValueKind::Nil).then_some(Given { text, origin })
}

fn is_known(key: &str) -> bool {
    keys().any(|known| known == key)
}

/// Every key that a layer may hold: the settings' own and those that name a secret's file.
fn keys() -> impl Iterator<Item = String> {
    SETTINGS.iter().flat_map(|setting| [Some(setting.key.to_owned()), setting.file_key()]).flatten()
}

/// The known key most like this one, if one is like it at all.
pub(super) fn nearest(key: &str) -> Option<String> {
    let key = key.to_lowercase().replace('-', "_");
    keys()
        .map(|known| (strsim::damerau_levenshtein(&key, &known), known))
        .filter(|(distance, known)| distance * 100 <= known.len() * MAX_MISSPELLED_PERCENT)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

fn unknown(origin: &str, nearest: Option<String>) -> String {
    let hint = nearest
        .map_or_else(|| "`haggle --help` lists what there is".to_owned(), |nearest| format!("did you mean {nearest}?"));
    format!("{origin} is not a setting: {hint}")
}
