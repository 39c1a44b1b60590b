//! Rust source as far as the rules of the house need it: the paths it names, the functions it has, the methods it
//! calls. Comments and texts are not source; nor is what only tests compile. Which of it is allowed is not decided
//! here.

use proc_macro2::{Delimiter, LexError, TokenStream, TokenTree};

/// A path such as `crate::store::Store`, with the line it stands on.
#[derive(Debug)]
pub(crate) struct Named {
    pub(crate) segments: Vec<String>,
    pub(crate) line: usize,
}

impl Named {
    /// What the path begins with: `crate`, `super` or the name of a crate.
    pub(crate) fn krate(&self) -> &str {
        self.segments.first().map_or("", String::as_str)
    }
}

/// A function with a body.
#[derive(Debug)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) line: usize,
    pub(crate) lines: usize,
}

/// A call of a method or a function by its last name.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) name: String,
    pub(crate) line: usize,
}

/// One file.
#[derive(Debug, Default)]
pub(crate) struct Source {
    pub(crate) paths: Vec<Named>,
    pub(crate) functions: Vec<Function>,
    pub(crate) calls: Vec<Call>,
}

impl Source {
    /// Reads a file's text.
    pub(crate) fn read(text: &str) -> Result<Self, LexError> {
        let stream: TokenStream = text.parse()?;
        let mut source = Self::default();
        source.walk(&stream.into_iter().collect::<Vec<_>>());
        Ok(source)
    }

    fn walk(&mut self, mut rest: &[TokenTree]) {
        while let [token, after @ ..] = rest {
            rest = if let Some(after) = after_test_module(rest) {
                after
            } else if is_word(token, "use") {
                self.import(after)
            } else {
                self.step(token, after)
            };
        }
    }

    /// Takes one token, or one path, and answers with what follows it.
    fn step<'a>(&mut self, token: &TokenTree, after: &'a [TokenTree]) -> &'a [TokenTree] {
        match token {
            TokenTree::Group(group) => self.walk(&group.stream().into_iter().collect::<Vec<_>>()),
            TokenTree::Ident(word) => {
                let line = word.span().start().line;
                if word == "fn" {
                    self.function(line, after);
                }
                let (mut segments, mut rest) = (vec![word.to_string()], after);
                while let Some((next, after)) = next_segment(rest) {
                    segments.push(next);
                    rest = after;
                }
                if let ([TokenTree::Group(group), ..], Some(name)) = (rest, segments.last())
                    && group.delimiter() == Delimiter::Parenthesis
                {
                    self.calls.push(Call { name: name.clone(), line });
                }
                if segments.len() > 1 {
                    self.paths.push(Named { segments, line });
                }
                return rest;
            }
            _ => {}
        }
        after
    }

    /// A function's length is from its `fn` to the end of its body; one without a body has none.
    fn function(&mut self, line: usize, after: &[TokenTree]) {
        let Some(TokenTree::Ident(name)) = after.first() else {
            return;
        };
        let body = after.iter().find_map(|token| match token {
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => Some(Some(group)),
            TokenTree::Punct(end) if end.as_char() == ';' => Some(None),
            _ => None,
        });
        if let Some(Some(body)) = body {
            let lines = body.span_close().end().line + 1 - line;
            self.functions.push(Function { name: name.to_string(), line, lines });
        }
    }

    /// Takes a `use` up to its `;`.
    fn import<'a>(&mut self, after: &'a [TokenTree]) -> &'a [TokenTree] {
        let end = after.iter().position(|token| matches!(token, TokenTree::Punct(end) if end.as_char() == ';'));
        let (tree, rest) = after.split_at(end.unwrap_or(after.len()));
        self.tree(&[], tree);
        rest
    }

    /// Takes one part of a `use`, below what stands before it.
    fn tree(&mut self, before: &[String], tree: &[TokenTree]) {
        let mut segments = before.to_vec();
        let mut line = 0;
        for token in tree {
            match token {
                TokenTree::Group(group) => {
                    let parts: Vec<_> = group.stream().into_iter().collect();
                    let is_comma = |token: &TokenTree| matches!(token, TokenTree::Punct(p) if p.as_char() == ',');
                    for part in parts.split(is_comma).filter(|part| !part.is_empty()) {
                        self.tree(&segments, part);
                    }
                    return;
                }
                TokenTree::Ident(word) if word == "as" => break,
                TokenTree::Ident(word) => {
                    line = word.span().start().line;
                    if word != "self" {
                        segments.push(word.to_string());
                    }
                }
                _ => {}
            }
        }
        if line > 0 {
            self.paths.push(Named { segments, line });
        }
    }
}

/// The next `::name` and what follows it.
fn next_segment(rest: &[TokenTree]) -> Option<(String, &[TokenTree])> {
    let [TokenTree::Punct(one), TokenTree::Punct(other), TokenTree::Ident(word), after @ ..] = rest else {
        return None;
    };
    (one.as_char() == ':' && other.as_char() == ':').then(|| (word.to_string(), after))
}

/// What follows `#[cfg(test)] mod name { … }` or `#[cfg(test)] mod name;`, if that is what stands here.
fn after_test_module(rest: &[TokenTree]) -> Option<&[TokenTree]> {
    let [TokenTree::Punct(hash), TokenTree::Group(attribute), module, _name, _body, after @ ..] = rest else {
        return None;
    };
    let is_test = attribute.stream().to_string().replace(' ', "") == "cfg(test)";
    (hash.as_char() == '#' && is_test && is_word(module, "mod")).then_some(after)
}

fn is_word(token: &TokenTree, wanted: &str) -> bool {
    matches!(token, TokenTree::Ident(word) if word == wanted)
}
