//! Owns: texts with placeholders (`{{ secret }}`, `{{ refresh_token }}`, `{{ token.NAME }}`): read once, filled in per use.
//! Does not: know where a text is sent, or escape for it.

use std::fmt;

use serde_json::Value;

use super::secret::Secret;
use super::settings::TokenName;

/// A text, taken apart.
#[derive(Clone, PartialEq, Eq)]
pub struct Pattern(Vec<Piece>);

#[derive(Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Hole(Hole),
}

/// What a placeholder stands for.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Hole {
    Secret,
    RefreshToken,
    Token(TokenName),
}

/// Why a text is no pattern. Says nothing of the text around.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PatternError {
    #[error("`{{{{` without `}}}}`")]
    Open,
    #[error("`{{{{ {0} }}}}` is no placeholder")]
    Unknown(String),
}

/// A placeholder for which nothing was given.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("nothing is at hand for the placeholder {0:?}")]
pub struct Missing(pub Hole);

impl Pattern {
    /// Takes a text apart.
    ///
    /// # Errors
    /// A placeholder that does not end, or that is not known.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let (inside, behind) = after.split_once("}}").ok_or(PatternError::Open)?;
            if !before.is_empty() {
                pieces.push(Piece::Text(before.to_owned()));
            }
            let inside = inside.trim();
            pieces.push(Piece::Hole(Hole::parse(inside).ok_or_else(|| PatternError::Unknown(inside.to_owned()))?));
            rest = behind;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        Ok(Self(pieces))
    }

    /// Its placeholders, in order.
    pub fn holes(&self) -> impl Iterator<Item = &Hole> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Hole(hole) => Some(hole),
            Piece::Text(_) => None,
        })
    }

    /// The text as it was written, for a canonical form: it holds no secret.
    pub fn source(&self) -> String {
        self.0.iter().map(Piece::source).collect()
    }

    /// The whole text, each placeholder replaced as `give` says.
    ///
    /// # Errors
    /// One for which `give` has nothing.
    pub fn fill<'s>(&self, give: impl Fn(&Hole) -> Option<&'s str>) -> Result<Secret<String>, Missing> {
        let part = |piece: &Piece| match piece {
            Piece::Text(text) => Ok(text.len()),
            Piece::Hole(hole) => give(hole).map(str::len).ok_or_else(|| Missing(hole.clone())),
        };
        let length = self.0.iter().map(part).sum::<Result<usize, Missing>>()?;
        // Room is made once: no part of a secret stays in freed memory.
        let mut filled = String::with_capacity(length);
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => filled.push_str(text),
                Piece::Hole(hole) => filled.push_str(give(hole).unwrap_or_default()),
            }
        }
        Ok(Secret::new(filled))
    }
}

/// Somebody may have written a secret into the text: only the placeholders are shown.
impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.holes()).finish()
    }
}

impl Piece {
    fn source(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Hole(Hole::Secret) => "{{ secret }}".into(),
            Self::Hole(Hole::RefreshToken) => "{{ refresh_token }}".into(),
            Self::Hole(Hole::Token(name)) => format!("{{{{ token.{name} }}}}"),
        }
    }
}

impl Hole {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "secret" => Some(Self::Secret),
            "refresh_token" => Some(Self::RefreshToken),
            _ => TokenName::new(text.strip_prefix("token.")?).map(Self::Token),
        }
    }
}

/// Every string of a JSON value, keys left alone, in order.
pub fn strings(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().flat_map(strings).collect(),
        Value::Object(members) => members.values().flat_map(strings).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_found_and_filled() {
        let pattern = Pattern::parse("a{{ secret }}b{{token.x.y}}{{ refresh_token }}").unwrap();
        let name = TokenName::new("x.y").unwrap();
        let holes: Vec<_> = pattern.holes().cloned().collect();
        assert_eq!(holes, [Hole::Secret, Hole::Token(name), Hole::RefreshToken]);
        let give = |hole: &Hole| match hole {
            Hole::Secret => Some("S"),
            Hole::Token(_) => Some("T{{ secret }}"),
            Hole::RefreshToken => Some("R"),
        };
        assert_eq!(pattern.fill(give).unwrap().expose(), "aSbT{{ secret }}R");
        assert_eq!(pattern.source(), "a{{ secret }}b{{ token.x.y }}{{ refresh_token }}");
        assert_eq!(pattern.fill(|_| None), Err(Missing(Hole::Secret)));
    }

    #[test]
    fn debug_shows_placeholders_alone() {
        let pattern = Pattern::parse("Basic hunter2 {{ token.a }}").unwrap();
        assert_eq!(format!("{pattern:?}"), "[Token(a)]");
    }

    #[test]
    fn what_is_no_placeholder_is_told() {
        assert_eq!(Pattern::parse("a {{ secret"), Err(PatternError::Open));
        assert_eq!(Pattern::parse("{{ secrt }}"), Err(PatternError::Unknown("secrt".into())));
        assert_eq!(Pattern::parse("{{ token. }}"), Err(PatternError::Unknown("token.".into())));
        assert_eq!(Pattern::parse("{ } }} {").unwrap().source(), "{ } }} {");
    }
}
