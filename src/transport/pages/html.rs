//! HTML that is filled in on the server: text becomes markup in one way alone, escaped.
//!
//! What lives here: escaping, and templates with `{{name}}` in them. What must not: any page's content.

use std::borrow::Cow;

use crate::error::ChatError;

/// Markup that is safe to send: made of this program's own markup, and of text that was escaped.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Html(String);

impl Html {
    /// Text as markup, in elements and in quoted attributes.
    pub(super) fn text(text: &str) -> Self {
        let mut html = Self::default();
        html.push_text(text);
        html
    }

    /// Adds text.
    pub(super) fn push_text(&mut self, text: &str) {
        for character in text.chars() {
            match character {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                // A parser would make a line feed of it.
                '\r' => self.0.push_str("&#13;"),
                other => self.0.push(other),
            }
        }
    }

    /// Adds this template, filled in.
    ///
    /// # Errors
    /// As [`fill`].
    pub(super) fn push_filled(&mut self, template: &str, values: &[(&str, Html)]) -> Result<(), ChatError> {
        self.0.push_str(&fill(template, values)?);
        Ok(())
    }
}

/// A template with each `{{name}}` replaced by its value. What a value holds is not looked at again.
///
/// # Errors
/// `internal` where the template asks for what is not given.
pub(super) fn fill(template: &str, values: &[(&str, Html)]) -> Result<String, ChatError> {
    let mut filled = String::with_capacity(template.len() * 2);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) = after.split_once("}}").ok_or(ChatError::Internal)?;
        let (_, Html(value)) = values.iter().find(|(known, _)| *known == name).ok_or(ChatError::Internal)?;
        filled.push_str(before);
        filled.push_str(value);
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

/// A template as it is embedded.
///
/// # Errors
/// `internal` where there is none or it is not UTF-8.
pub(super) fn template(path: &str) -> Result<String, ChatError> {
    let file = super::Files::get(path).ok_or(ChatError::Internal)?;
    match file.data {
        Cow::Borrowed(bytes) => std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| ChatError::Internal),
        Cow::Owned(bytes) => String::from_utf8(bytes).map_err(|_| ChatError::Internal),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_text() {
        let Html(escaped) = Html::text("<script>alert('1' & \"2\")</script>\r\n");
        assert_eq!(escaped, "&lt;script&gt;alert(&#39;1&#39; &amp; &quot;2&quot;)&lt;/script&gt;&#13;\n");
    }

    #[test]
    fn a_value_is_not_looked_at_again() {
        let values = [("a", Html::text("{{b}}")), ("b", Html::text("<b>"))];
        assert_eq!(fill("1 {{a}} 2 {{b}} 3 {{a}}", &values).unwrap(), "1 {{b}} 2 &lt;b&gt; 3 {{b}}");
        assert_eq!(fill("{{c}}", &values), Err(ChatError::Internal));
        assert_eq!(fill("{{a", &values), Err(ChatError::Internal));
    }
}
