//! Names and titles as a page shows them: without what cannot be seen, and told apart where one could pass for another.
//!
//! What lives here: the rule of `web/js/widget/text.js` for what the server itself writes into a page; `tests/fixtures/names.json` holds
//! both to it. What must not: HTML.

use icu_normalizer::ComposingNormalizerBorrowed;
use icu_properties::props::{
    DefaultIgnorableCodePoint, EmojiModifier, ExtendedPictographic, GeneralCategory, GeneralCategoryGroup, Script,
};
use icu_properties::{CodePointMapData, CodePointSetData};

/// Characters of a name that are shown.
const NAME_MAX: usize = 80;
/// Marks above one letter; more would run over the lines around it.
const MARKS_MAX: usize = 3;
const NON_JOINER: char = '\u{200c}';
const JOINER: char = '\u{200d}';
const AS_EMOJI: char = '\u{fe0f}';

/// A text on one line, without what has no shape of its own or turns the direction: controls, bidi marks, zero-width characters, blanks that
/// pass for letters. Two of them stay where they have their place: in composed emoji, and between Arabic letters.
pub(super) fn clean(text: &str) -> String {
    let all: Vec<char> = text.chars().collect();
    let mut clean = String::with_capacity(text.len());
    let mut marks = 0;
    // Whether the last ones are an emoji that another may be joined to.
    let mut emoji = false;
    for (at, &character) in all.iter().enumerate() {
        let before = at.checked_sub(1).and_then(|before| all.get(before)).copied();
        let after = all.get(at + 1).copied();
        let joined = match character {
            AS_EMOJI => emoji,
            JOINER => emoji && after.is_some_and(is_pictographic),
            NON_JOINER => before.is_some_and(is_arabic) && after.is_some_and(is_arabic),
            _ => false,
        };
        emoji = is_pictographic(character) || (emoji && (character == AS_EMOJI || is_modifier(character)));
        if is_blank(character) {
            if !clean.ends_with(' ') {
                clean.push(' ');
            }
            marks = 0;
            continue;
        }
        if is_invisible(character) && !joined {
            continue;
        }
        marks = if is_in(GeneralCategoryGroup::Mark, character) { marks + 1 } else { 0 };
        if marks <= MARKS_MAX {
            clean.push(character);
        }
    }
    clean.trim_matches(' ').to_owned()
}

/// A name, and beside it the user's id where the name alone could pass for that of another among those, who are ids and names.
pub(super) fn shown<'a>(id: &str, name: &str, among: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let shown_id = match cut(clean(id)) {
        id if id.is_empty() => "?".to_owned(),
        id => id,
    };
    let whole = clean(name);
    if whole.is_empty() {
        return shown_id;
    }
    let text = cut(whole.clone());
    let mine = shape(&text);
    let is_anothers = |(other, called): (&str, &str)| other != id && (mine == shape(called) || mine == shape(other));
    let passes = whole != plain(name) || is_mixed(&text) || among.into_iter().any(is_anothers);
    if passes && text != shown_id { format!("{text} ({shown_id})") } else { text }
}

fn cut(text: String) -> String {
    if text.chars().count() <= NAME_MAX {
        return text;
    }
    text.chars().take(NAME_MAX - 1).chain(['…']).collect()
}

/// A name whose blanks, of those that people type, are one space: nothing else may be lost without a sign of it.
fn plain(name: &str) -> String {
    let mut plain = String::with_capacity(name.len());
    for character in name.chars() {
        match character {
            ' ' | '\t' | '\n' | '\r' | '\u{a0}' | '\u{3000}' if plain.ends_with(' ') => {}
            ' ' | '\t' | '\n' | '\r' | '\u{a0}' | '\u{3000}' => plain.push(' '),
            other => plain.push(other),
        }
    }
    plain.trim_matches(is_blank).to_owned()
}

/// What two names that look alike have in common.
fn shape(name: &str) -> String {
    let normal = ComposingNormalizerBorrowed::new_nfkc().normalize(&clean(name)).to_lowercase();
    let tells = |character: &char| {
        !is_blank(*character) && !is_ignorable(*character) && !is_in(GeneralCategoryGroup::Punctuation, *character)
    };
    normal.chars().filter(tells).collect()
}

/// Letters of two scripts in one word, such as a Cyrillic letter among Latin ones.
fn is_mixed(text: &str) -> bool {
    let letters = GeneralCategoryGroup::Letter.union(GeneralCategoryGroup::Mark);
    text.split(|character| !is_in(letters, character)).any(|word| {
        let is_of = |scripts: &[Script]| word.chars().any(|character| scripts.contains(&script(character)));
        is_of(&[Script::Latin]) && is_of(&[Script::Cyrillic, Script::Greek, Script::Armenian, Script::Cherokee])
    })
}

/// A blank, as JavaScript has it.
fn is_blank(character: char) -> bool {
    character == '\u{feff}' || (character.is_whitespace() && character != '\u{85}')
}

fn is_invisible(character: char) -> bool {
    character.is_control()
        || is_ignorable(character)
        || is_in(GeneralCategoryGroup::PrivateUse, character)
        || matches!(character, '\u{2028}' | '\u{2029}' | '\u{2800}' | '\u{fff9}'..='\u{fffb}')
}

fn is_ignorable(character: char) -> bool {
    CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(character)
}

fn is_pictographic(character: char) -> bool {
    CodePointSetData::new::<ExtendedPictographic>().contains(character)
}

fn is_modifier(character: char) -> bool {
    CodePointSetData::new::<EmojiModifier>().contains(character)
}

fn is_arabic(character: char) -> bool {
    script(character) == Script::Arabic
}

fn script(character: char) -> Script {
    CodePointMapData::<Script>::new().get(character)
}

fn is_in(group: GeneralCategoryGroup, character: char) -> bool {
    group.contains(CodePointMapData::<GeneralCategory>::new().get(character))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Deserialize)]
    struct Rows {
        clean: Vec<(String, String)>,
        among: Vec<(String, String)>,
        shown: Vec<(String, String, String, String)>,
    }

    #[test]
    fn the_pages_and_the_widget_have_one_rule() {
        let rows: Rows = serde_json::from_str(include_str!("../../../tests/fixtures/names.json")).unwrap();
        for (text, expected) in &rows.clean {
            assert_eq!(clean(text), *expected, "{text:?}");
        }
        for (id, name, text, tag) in &rows.shown {
            let expected = if tag.is_empty() { text.clone() } else { format!("{text} ({tag})") };
            let among = rows.among.iter().map(|(id, name)| (id.as_str(), name.as_str()));
            assert_eq!(shown(id, name, among), expected, "{id:?} {name:?}");
        }
    }
}
