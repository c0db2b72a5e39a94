//! Owns: `[[token.NAME.output]]` as written.
//! Does not: compare outputs with each other, or look at their folders.

use super::keys::{KeyEntry, entries};
use super::raw::RawOutput;
use super::section::{Section, SectionReader};
use super::stage::Written;
use crate::core::diagnostic::{Located, quote};
use crate::core::settings::{Format, FormatKind, is_variable};

/// The keys of an output, but for those of its file.
pub(super) const KEYS: &[KeyEntry] = &entries! {
    /// What is written: the bare token, NAME=value, a JSON object, an Authorization header, or a template of yours.
    format: Choice(FormatKind::WORDS) = r#""token""#, required;
    /// The file. Its folder must be there. Env outputs with the same path share the file.
    path: Path = r#""/run/renewd/sunbird.token""#, required;
    /// Of format "env": the variable's name.
    variable: Text = r#""SUNBIRD_TOKEN""#;
    /// Of format "env": a second variable with the expiry in Unix seconds; left out for a token that never expires.
    expires_variable: Text = r#""SUNBIRD_TOKEN_EXPIRES_AT""#;
    /// Of format "template": the template's file (minijinja) with name, token, claims, issued_at and expires_at.
    template: Path = r#""sunbird.tmpl""#;
};

pub(super) fn read_all(cx: &mut SectionReader<'_>, token: &Section<'_, '_>) -> Vec<RawOutput> {
    let sections = token.tables(cx, "output");
    // Exactly so many: 10,000 tokens with room for three more each are noticed.
    let mut outputs = Vec::with_capacity(sections.len());
    outputs.extend(sections.iter().filter_map(|section| read(cx, section)));
    outputs
}

fn read(cx: &mut SectionReader<'_>, output: &Section<'_, '_>) -> Option<RawOutput> {
    let path = output_path(cx, output);
    let file = output.file(cx);
    let kind = output.choice(cx, "format", FormatKind::parse)?.value;
    let own =
        [("variable", FormatKind::Env), ("expires_variable", FormatKind::Env), ("template", FormatKind::Template)];
    for (key, of) in own {
        if let Some(span) = output.key_span(cx, key).filter(|_| of != kind) {
            let title = format!("`{key}` with format \"{}\"", kind.word());
            cx.error(span, title, format!("it belongs to format = \"{}\"", of.word()));
        }
    }
    let format = match kind {
        FormatKind::Token => Format::Token,
        FormatKind::Json => Format::Json,
        FormatKind::Header => Format::Header,
        FormatKind::Env => env(cx, output)?,
        FormatKind::Template => {
            output.require(cx, "template");
            Format::Template { file: output.path(cx, "template")?, text: () }
        }
    };
    Some(RawOutput { header: output.header, path: path?, format, file })
}

/// A path that can name a file.
fn output_path(cx: &mut SectionReader<'_>, output: &Section<'_, '_>) -> Option<Located<std::path::PathBuf>> {
    let text = output.text(cx, "path")?;
    let last = text.value.rsplit('/').next().unwrap_or("");
    let names_folder = matches!(last, "" | "." | "..") && !text.value.is_empty();
    let path = cx.path(text)?;
    if names_folder || path.value.file_name().is_none() {
        cx.error(path.span, "`path` names a folder", "write the file's name too");
        return None;
    }
    Some(path)
}

fn env(cx: &mut SectionReader<'_>, output: &Section<'_, '_>) -> Option<Format<Written>> {
    let expires_variable = name(cx, output, "expires_variable");
    let variable = if output.require(cx, "variable") { name(cx, output, "variable") } else { None };
    Some(Format::Env { variable: variable?, expires_variable })
}

fn name(cx: &mut SectionReader<'_>, output: &Section<'_, '_>, key: &str) -> Option<Located<String>> {
    let name = output.text(cx, key)?;
    if is_variable(&name.value) {
        return Some(name);
    }
    cx.error(
        name.span,
        format!("sh takes no variable called {}", quote(&name.value)),
        "letters, digits and _, no digit first: SUNBIRD_TOKEN",
    );
    None
}
