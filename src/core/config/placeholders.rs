//! Owns: texts with placeholders as written: that each placeholder is known and has something to stand for, and that
//! nothing was given which no placeholder uses. What stands in such tables may be a secret: it is never shown.
//! Does not: fill anything in.

use serde_json::Value;
use toml::Spanned;
use toml::de::DeValue;

use super::claims::json;
use super::section::{Section, SectionReader, in_order};
use crate::core::config::keys::most_like;
use crate::core::diagnostic::{Diagnostic, Located, Span, quote};
use crate::core::pattern::{Pattern, PatternError, Placeholder};
use crate::core::redact;
use crate::core::settings::TokenName;

/// What placeholders of one token may stand for, and which were met.
pub(super) struct Placeholders {
    /// `None`: the source has no such key. `Some(None)`: it is not given.
    secret: Option<Option<Span>>,
    refresh_token: Option<Option<Span>>,
    secret_is_used: bool,
    refresh_is_used: bool,
    /// A text was wrong: what no placeholder uses may be used there.
    flawed: bool,
    pub tokens: Vec<Located<TokenName>>,
}

impl Placeholders {
    pub(super) fn of(cx: &SectionReader<'_>, token: &Section<'_, '_>) -> Self {
        let given = |name| token.knows(name).then(|| token.key_span(cx, name));
        Self {
            secret: given("secret"),
            refresh_token: given("refresh_token"),
            secret_is_used: false,
            refresh_is_used: false,
            flawed: false,
            tokens: Vec::new(),
        }
    }

    /// Takes a text apart; `name` is how its key is called in messages.
    pub(super) fn pattern(
        &mut self,
        cx: &mut SectionReader<'_>,
        name: &str,
        text: &Located<String>,
    ) -> Option<Pattern> {
        match Pattern::parse(&text.value) {
            Ok(pattern) => {
                pattern.placeholders().for_each(|placeholder| self.meet(cx, name, placeholder, text.span));
                Some(pattern)
            }
            Err(wrong) => {
                self.flawed = true;
                let title = match wrong {
                    PatternError::Open => format!("`{name}` holds `{{{{` without `}}}}`"),
                    PatternError::Unknown(word) => match Self::meant(&word) {
                        true => format!("`{name}` holds a placeholder that is not known: {}", quote(&word)),
                        false => format!("`{name}` holds a placeholder that is not known"),
                    },
                };
                cx.error(text.span, title, self.known());
                None
            }
        }
    }

    /// Whether a word is a slip for a placeholder: anything else may be a part of a secret, and is not shown.
    fn meant(word: &str) -> bool {
        word.starts_with("token") || most_like(word, ["secret", "refresh_token", "token"].into_iter()).is_some()
    }

    fn meet(&mut self, cx: &mut SectionReader<'_>, name: &str, placeholder: &Placeholder, span: Span) {
        let (word, given) = match placeholder {
            Placeholder::Secret => {
                self.secret_is_used = true;
                ("secret", self.secret)
            }
            Placeholder::RefreshToken => {
                self.refresh_is_used = true;
                ("refresh_token", self.refresh_token)
            }
            Placeholder::Token(parent) => {
                self.tokens.push(Located { value: parent.clone(), span });
                return;
            }
        };
        match given {
            Some(Some(_)) => {}
            Some(None) => cx.error(
                span,
                format!("`{name}` holds {{{{ {word} }}}}, and there is no `{word}`"),
                format!("add where it is: {word}.file = \"...\""),
            ),
            None => cx.error(span, format!("`{name}` cannot hold {{{{ {word} }}}}"), self.known()),
        }
    }

    /// What may stand in a placeholder.
    fn known(&self) -> String {
        let words = [("{{ secret }}", self.secret.is_some()), ("{{ refresh_token }}", self.refresh_token.is_some())];
        let known = words.iter().filter(|(_, there)| *there).map(|(word, _)| *word);
        let words: Vec<_> = known.chain(["{{ token.NAME }}"]).collect();
        format!("known here: {}", words.join(", "))
    }

    /// Tells what is given and used nowhere, and hands over the tokens that were named.
    pub(super) fn finish(self, cx: &mut SectionReader<'_>, spans: &str) {
        let unused = [
            ("secret", self.secret.flatten().filter(|_| !self.secret_is_used)),
            ("refresh_token", self.refresh_token.flatten().filter(|_| !self.refresh_is_used)),
        ];
        for (word, span) in unused {
            if let Some(span) = span.filter(|_| !self.flawed) {
                cx.diagnostics.push(
                    Diagnostic::error(format!("`{word}` is used nowhere"))
                        .at(span)
                        .help(format!("write {{{{ {word} }}}} where it belongs, in {spans}, or remove it")),
                );
            }
        }
        cx.parents.extend(self.tokens);
    }

    /// Every string of a JSON value is a pattern.
    pub(super) fn json(
        &mut self,
        cx: &mut SectionReader<'_>,
        name: &str,
        value: &Spanned<DeValue<'_>>,
    ) -> Option<Value> {
        self.strings(cx, name, value);
        json(cx, value)
    }

    fn strings(&mut self, cx: &mut SectionReader<'_>, name: &str, value: &Spanned<DeValue<'_>>) {
        match value.get_ref() {
            DeValue::String(text) => {
                let text = cx.at(text.to_string(), value.span());
                self.pattern(cx, name, &text);
            }
            DeValue::Array(items) => items.iter().for_each(|item| self.strings(cx, name, item)),
            DeValue::Table(members) => {
                for (key, member) in in_order(members) {
                    self.strings(cx, &format!("{name}.{}", redact::name(key.get_ref())), member);
                }
            }
            _ => {}
        }
    }
}

/// A member of a table of texts: its key, and its value.
pub(super) type TextMember = (Located<String>, Located<String>);

/// The members of a table of texts, in order of the file. With `lists` one may be a list of texts: a member each.
pub(super) fn pairs(cx: &mut SectionReader<'_>, section: &Section<'_, '_>, name: &str, lists: bool) -> Vec<TextMember> {
    let wanted = if lists { "a string, or a list of strings" } else { "a string" };
    let mut pairs = Vec::new();
    for (key, value) in section.members(cx, name) {
        let key = cx.at(key.get_ref().to_string(), key.span());
        let elements = match value.get_ref() {
            DeValue::Array(items) if lists => items.iter().collect(),
            _ => vec![value],
        };
        for element in elements {
            match element.get_ref() {
                DeValue::String(text) => {
                    let text = cx.at(text.to_string(), element.span());
                    pairs.push((Located { value: key.value.clone(), span: key.span }, text));
                }
                _ => {
                    cx.wrong_type(&format!("{name}.{}", redact::name(&key.value)), wanted, element, "put it in quotes")
                }
            }
        }
    }
    pairs
}
