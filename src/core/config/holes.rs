//! Owns: texts with placeholders as written: that each placeholder is known and has something to stand for, and that
//! nothing was given which no placeholder uses. What stands in such tables may be a secret: it is never shown.
//! Does not: fill anything in.

use serde_json::Value;
use toml::Spanned;
use toml::de::DeValue;

use super::claims::json;
use super::section::{Reader, Section, in_order};
use crate::core::config::keys::most_like;
use crate::core::finding::{At, Finding, Place, quote};
use crate::core::pattern::{Hole, Pattern, PatternError};
use crate::core::settings::TokenName;

/// What placeholders of one token may stand for, and which were met.
pub(super) struct Holes {
    /// `None`: the source has no such key. `Some(None)`: it is not given.
    secret: Option<Option<Place>>,
    refresh_token: Option<Option<Place>>,
    secret_is_used: bool,
    refresh_is_used: bool,
    /// A text was wrong: what no placeholder uses may be used there.
    flawed: bool,
    pub tokens: Vec<At<TokenName>>,
}

impl Holes {
    pub fn of(cx: &Reader<'_>, token: &Section<'_, '_>) -> Self {
        let given = |name| token.knows(name).then(|| token.key_place(cx, name));
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
    pub fn pattern(&mut self, cx: &mut Reader<'_>, name: &str, text: &At<String>) -> Option<Pattern> {
        match Pattern::parse(&text.value) {
            Ok(pattern) => {
                pattern.holes().for_each(|hole| self.meet(cx, name, hole, text.place));
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
                cx.error(text.place, title, self.known());
                None
            }
        }
    }

    /// Whether a word is a slip for a placeholder: anything else may be a part of a secret, and is not shown.
    fn meant(word: &str) -> bool {
        word.starts_with("token") || most_like(word, ["secret", "refresh_token", "token"].into_iter()).is_some()
    }

    fn meet(&mut self, cx: &mut Reader<'_>, name: &str, hole: &Hole, place: Place) {
        let (word, given) = match hole {
            Hole::Secret => {
                self.secret_is_used = true;
                ("secret", self.secret)
            }
            Hole::RefreshToken => {
                self.refresh_is_used = true;
                ("refresh_token", self.refresh_token)
            }
            Hole::Token(parent) => {
                self.tokens.push(At { value: parent.clone(), place });
                return;
            }
        };
        match given {
            Some(Some(_)) => {}
            Some(None) => cx.error(
                place,
                format!("`{name}` holds {{{{ {word} }}}}, and there is no `{word}`"),
                format!("add where it is: {word}.file = \"...\""),
            ),
            None => cx.error(place, format!("`{name}` cannot hold {{{{ {word} }}}}"), self.known()),
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
    pub fn finish(self, cx: &mut Reader<'_>, places: &str) -> Vec<At<TokenName>> {
        let unused = [
            ("secret", self.secret.flatten().filter(|_| !self.secret_is_used)),
            ("refresh_token", self.refresh_token.flatten().filter(|_| !self.refresh_is_used)),
        ];
        for (word, place) in unused {
            if let Some(place) = place.filter(|_| !self.flawed) {
                cx.findings.push(
                    Finding::error(format!("`{word}` is used nowhere"))
                        .at(place)
                        .help(format!("write {{{{ {word} }}}} where it belongs, in {places}, or remove it")),
                );
            }
        }
        self.tokens
    }

    /// Every string of a JSON value is a pattern.
    pub fn json(&mut self, cx: &mut Reader<'_>, name: &str, value: &Spanned<DeValue<'_>>) -> Option<Value> {
        self.strings(cx, name, value);
        json(cx, value)
    }

    fn strings(&mut self, cx: &mut Reader<'_>, name: &str, value: &Spanned<DeValue<'_>>) {
        match value.get_ref() {
            DeValue::String(text) => {
                let text = cx.at(text.to_string(), value.span());
                self.pattern(cx, name, &text);
            }
            DeValue::Array(items) => items.iter().for_each(|item| self.strings(cx, name, item)),
            DeValue::Table(members) => {
                for (key, member) in in_order(members) {
                    self.strings(cx, &format!("{name}.{}", shown(key.get_ref())), member);
                }
            }
            _ => {}
        }
    }
}

/// A key of the user's choice, as messages call it.
pub(super) fn shown(key: &str) -> &str {
    if crate::core::finding::looks_opaque(key) || key.len() > 64 { "***" } else { key }
}

/// A member of a table of texts: its key, and its value.
pub(super) type Pair = (At<String>, At<String>);

/// The members of a table of texts, in order of the file. With `lists` one may be a list of texts: a member each.
pub(super) fn pairs(cx: &mut Reader<'_>, section: &Section<'_, '_>, name: &str, lists: bool) -> Vec<Pair> {
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
                    pairs.push((At { value: key.value.clone(), place: key.place }, text));
                }
                _ => cx.wrong_type(&format!("{name}.{}", shown(&key.value)), wanted, element, "put it in quotes"),
            }
        }
    }
    pairs
}
