//! What a file of Rust names, read as far as that takes: its items, its imports, and the paths in its code.

use std::collections::BTreeSet;

/// One name that a `use` brings.
pub(crate) struct Use {
    /// With its last name, but without the star of a glob.
    pub path: Vec<String>,
    /// What it is called here; `*` for a glob.
    pub name: String,
    pub is_public: bool,
}

pub(crate) struct Source {
    pub items: BTreeSet<String>,
    pub uses: Vec<Use>,
    /// Paths of two names or more.
    pub paths: BTreeSet<Vec<String>>,
    /// Names that stand alone.
    pub words: BTreeSet<String>,
}

/// After these stands an item's name.
const ITEMS: [&str; 9] = ["fn", "struct", "enum", "trait", "type", "const", "static", "union", "macro_rules"];

impl Source {
    pub(crate) fn read(text: &str) -> Self {
        let tokens = without_tests(tokens(text));
        let mut source =
            Self { items: BTreeSet::new(), uses: Vec::new(), paths: BTreeSet::new(), words: BTreeSet::new() };
        let (mut at, mut depth) = (0, 0);
        let token = |at: usize| tokens.get(at).map_or("", String::as_str);
        let before = |at: usize| at.checked_sub(1).map_or("", token);
        while at < tokens.len() {
            match token(at) {
                "{" => depth += 1,
                "}" => depth -= 1,
                "use" if before(at) != "." => {
                    let is_public = matches!(before(at), "pub" | ")");
                    at = source.take_use(&tokens, at + 1, &[], is_public);
                    continue;
                }
                // `words!` makes an enum (core::words).
                "words" if token(at + 1) == "!" => {
                    let name = tokens.iter().skip(at).skip_while(|token| *token != "enum").nth(1);
                    source.items.extend(name.cloned());
                }
                word if depth == 0 && ITEMS.contains(&word) => {
                    let name = if word == "macro_rules" { token(at + 2) } else { token(at + 1) };
                    source.items.insert(name.to_owned());
                }
                word if is_name(word) && before(at) != "." && before(at) != "::" && before(at) != "in" => {
                    let mut path = vec![word.to_owned()];
                    while token(at + 1) == "::" && is_name(token(at + 2)) {
                        path.push(token(at + 2).to_owned());
                        at += 2;
                    }
                    if path.len() > 1 {
                        source.paths.insert(path);
                    } else if token(at + 1) != ":" {
                        source.words.extend(path);
                    }
                }
                _ => {}
            }
            at += 1;
        }
        source
    }

    /// Takes one tree of imports, and says where it ends.
    fn take_use(&mut self, tokens: &[String], mut at: usize, before: &[String], is_public: bool) -> usize {
        let token = |at: usize| tokens.get(at).map_or("", String::as_str);
        let mut path = before.to_vec();
        loop {
            match token(at) {
                "{" => {
                    at += 1;
                    while !matches!(token(at), "}" | "") {
                        at = self.take_use(tokens, at, &path, is_public);
                        at += usize::from(token(at) == ",");
                    }
                    return at + 1;
                }
                "*" => {
                    self.uses.push(Use { path, name: "*".into(), is_public });
                    return at + 1;
                }
                "self" if !path.is_empty() => {}
                name => path.push(name.to_owned()),
            }
            at += 1;
            if token(at) == "::" {
                at += 1;
                continue;
            }
            let mut name = path.last().cloned().unwrap_or_default();
            if token(at) == "as" {
                name = token(at + 1).to_owned();
                at += 2;
            }
            self.uses.push(Use { path, name, is_public });
            return at;
        }
    }
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
}

/// Leaves out what stands behind `#[cfg(test)]`.
fn without_tests(tokens: Vec<String>) -> Vec<String> {
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let rest = tokens.get(at..).unwrap_or_default();
        if !["#", "[", "cfg", "(", "test", ")", "]"].iter().zip(rest).all(|(wanted, token)| wanted == token) {
            kept.extend(rest.first().cloned());
            at += 1;
            continue;
        }
        let mut depth = 0;
        for token in rest {
            at += 1;
            match token.as_str() {
                "{" => depth += 1,
                "}" if depth == 1 => break,
                "}" => depth -= 1,
                ";" if depth == 0 => break,
                _ => {}
            }
        }
    }
    kept
}

/// Names, numbers, `::` and single signs; without comments and space, and with each text and character as `""`.
fn tokens(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let length = match c {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            '"' | 'r' | 'b' | 'c' if literal(rest).is_some() => {
                found.push("\"\"".to_owned());
                literal(rest).unwrap_or(rest.len())
            }
            '\'' => character(rest),
            ':' if rest.starts_with("::") => {
                found.push("::".to_owned());
                2
            }
            c if c.is_alphanumeric() || c == '_' => {
                let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
                found.extend(rest.get(..end).map(str::to_owned));
                end
            }
            c if c.is_whitespace() => c.len_utf8(),
            c => {
                found.push(c.to_string());
                c.len_utf8()
            }
        };
        rest = rest.get(length..).unwrap_or_default();
    }
    found
}

/// How long the text is that begins here, raw or not.
fn literal(text: &str) -> Option<usize> {
    let body = text.trim_start_matches(['b', 'c']);
    if let Some(raw) = body.strip_prefix('r') {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        let end = format!("\"{}", "#".repeat(hashes));
        let inside = raw.get(hashes..)?.strip_prefix('"')?;
        return Some(text.len() - inside.len() + inside.find(&end)? + end.len());
    }
    let inside = body.strip_prefix('"')?;
    let mut escaped = false;
    let end = inside.find(|c: char| {
        let is_end = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        is_end
    })?;
    Some(text.len() - inside.len() + end + 1)
}

/// The same of a character, or of the quote of a lifetime.
fn character(text: &str) -> usize {
    let inside = text.get(1..).unwrap_or_default();
    if let Some(escape) = inside.strip_prefix('\\') {
        return escape.char_indices().skip(1).find(|(_, c)| *c == '\'').map_or(1, |(end, _)| end + 3);
    }
    match inside.char_indices().nth(1) {
        Some((end, '\'')) => end + 2,
        _ => 1,
    }
}
