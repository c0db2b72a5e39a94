//! Owns: a token's settings on its page: each with the file and line where it is written, or that it is a default.
//! Does not: read files, or decide what may be shown (core's `written` does).

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;

use super::line::{Line, Tint, columns};
use super::page::Page;
use crate::core::config::Setting;
use crate::core::printable::printable;
use crate::host::written::WrittenToken;

/// Longer settings do not decide where the places stand.
const WIDEST: usize = 60;

impl Page<'_> {
    pub(super) fn settings(&mut self, written: &Result<WrittenToken, String>) {
        let main = self.document.config_path().unwrap_or_else(|| "the config".into());
        let written = match written {
            Ok(written) => written,
            Err(why) => {
                self.title("Settings");
                let runs = self.document.config_loaded_at().map(|at| {
                    let at = self.sheet.clock.at(at);
                    format!("; the daemon runs the config that it read at {at}")
                });
                self.say(
                    Tint::Warn,
                    2,
                    &format!("they cannot be shown: {}{}", printable(why), runs.unwrap_or_default()),
                );
                return;
            }
        };
        let file = printable(&written.file.display().to_string());
        self.title(&format!("Settings, as they stand in {file}"));
        if let Some(note) = written.changed.as_ref().and_then(|(file, at)| self.older(file, *at)) {
            self.say(Tint::Warn, 2, &note);
        }
        let of = |settings: &[Setting], file: &str| -> Vec<(String, String)> {
            settings.iter().map(|one| (shown(one), place(one, file))).collect()
        };
        let mut rows = of(&written.token, &file);
        rows.extend(of(&written.defaults, &main).into_iter().map(|(text, at)| (text, format!("{at} [defaults]"))));
        rows.extend(of(&written.built_in, ""));
        self.rows(&rows);
    }

    /// What runs may be another config than the one that stands in the file.
    fn older(&self, file: &Path, changed: SystemTime) -> Option<String> {
        let loaded = self.document.config_loaded_at()?;
        let file = printable(&file.display().to_string());
        let changed = changed.duration_since(UNIX_EPOCH).ok()?;
        let changed = Timestamp::from_second(i64::try_from(changed.as_secs()).ok()?).ok()?;
        (changed.as_second() > loaded.as_second()).then(|| {
            let [changed, loaded] = [changed, loaded].map(|at| self.sheet.clock.at(at));
            let refused = self.document.config_error().is_some();
            let why = if refused { "it did not take the change, see above" } else { "it has not read the change yet" };
            format!("the daemon runs an older config, read at {loaded}: {file} was changed at {changed}, and {why}")
        })
    }

    fn rows(&mut self, rows: &[(String, String)]) {
        let room = self.sheet.width.unwrap_or(usize::MAX);
        let places = rows.iter().map(|(_, place)| columns(place)).max().unwrap_or(0);
        let most = room.saturating_sub(places + 4).min(WIDEST);
        let fits = |text: &String| columns(text) <= most;
        let column = rows.iter().map(|(text, _)| text).filter(|text| fits(text)).map(|text| columns(text)).max();
        for (text, place) in rows {
            if fits(text) {
                let mut line = Line::plain(format!("  {text}"));
                line.pad(column.unwrap_or(0) + 4);
                line.push(Tint::Faint, place.clone());
                self.lines.push(line);
            } else if self.sheet.width.is_none() {
                let mut line = Line::plain(format!("  {text}  "));
                line.push(Tint::Faint, place.clone());
                self.lines.push(line);
            } else {
                self.say(Tint::Plain, 2, text);
                self.say(Tint::Faint, 4, place);
            }
        }
    }
}

fn shown(setting: &Setting) -> String {
    format!("{} = {}", printable(&setting.key), printable(&setting.value))
}

/// The file's own name is enough: its path stands above, or at the summary of the config.
fn place(setting: &Setting, file: &str) -> String {
    let name = Path::new(file).file_name().map_or_else(|| file.into(), |name| name.to_string_lossy());
    match setting.line {
        0 => "(default)".into(),
        line => format!("{name}:{line}"),
    }
}
