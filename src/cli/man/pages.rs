//! Owns: the pages renewd(1) and renewd-COMMAND(1), from the description of the commands that --help prints too.
//! Does not: hold renewd.toml(5), which comes from the table of keys.

use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::Roff;

use super::config;
use super::page::{ManPage, item, see_also, title};

const FILES: &[(&str, &str)] = &[
    (
        "$RENEWD_CONFIG, ~/.config/renewd/config.toml, /etc/renewd/config.toml",
        "The config: the first that is there. $XDG_CONFIG_HOME stands in the place of ~/.config where it is set. See renewd.toml(5).",
    ),
    ("/run/renewd", "Of the system's daemon: its control socket, and the tokens that the config puts there."),
    ("/var/lib/renewd, ~/.local/state/renewd", "The state, with tokens in it: readable by the daemon's user alone."),
];

const EXITS: &[(&str, &str)] = &[
    ("0", "Done."),
    ("1", "It failed: a rotation, a delivery, a signature; of status, a token that is not valid."),
    ("64", "Usage: a wrong flag, or a NAME that is not in the config."),
    ("69", "The daemon is not there."),
    ("75", "Not now: try again."),
    ("78", "The config is wrong or missing."),
];

/// All pages: renewd, renewd.toml, and one for each command in the order of --help.
pub(super) fn all(command: Command) -> Vec<ManPage> {
    let mut root = command.disable_help_subcommand(true);
    root.build();
    let commands: Vec<Command> = root.get_subcommands().filter(|command| !command.is_hide_set()).cloned().collect();
    let mut pages = vec![of_program(&root, &commands), config::page()];
    pages.extend(commands.into_iter().map(of_command));
    pages
}

fn of_program(root: &Command, commands: &[Command]) -> ManPage {
    let mut roff = head(&Man::new(root.clone()), "renewd");
    let mut more = Roff::new();
    more.control("SH", ["COMMANDS"]);
    for command in commands {
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        item(&mut more, &format!("renewd-{}(1)", command.get_name()), &about);
    }
    list(&mut more, "EXIT STATUS", EXITS);
    list(&mut more, "FILES", FILES);
    let mut others = vec!["renewd.toml(5)".to_owned()];
    others.extend(commands.iter().map(|command| format!("renewd-{}(1)", command.get_name())));
    see_also(&mut more, &others);
    roff.push_str(&more.to_roff());
    ManPage { name: "renewd".into(), section: "1", roff, text: root.clone().render_long_help().to_string() }
}

fn of_command(command: Command) -> ManPage {
    let name = format!("renewd-{}", command.get_name());
    let mut roff = head(&Man::new(command.clone()), &name);
    let mut more = Roff::new();
    see_also(&mut more, &["renewd(1)".into(), "renewd.toml(5)".into()]);
    roff.push_str(&more.to_roff());
    ManPage { name, section: "1", roff, text: command.clone().render_long_help().to_string() }
}

/// Title, NAME, SYNOPSIS, DESCRIPTION and OPTIONS. Without a date: the same program gives the same page.
fn head(man: &Man, name: &str) -> String {
    let mut page = title(name, "1").into_bytes();
    // Nothing can fail: it is written to memory.
    let _ = man
        .render_name_section(&mut page)
        .and_then(|()| man.render_synopsis_section(&mut page))
        .and_then(|()| man.render_description_section(&mut page))
        .and_then(|()| man.render_options_section(&mut page));
    String::from_utf8_lossy(&page).into_owned()
}

fn list(roff: &mut Roff, title: &str, items: &[(&str, &str)]) {
    roff.control("SH", [title]);
    items.iter().for_each(|(word, about)| item(roff, word, about));
}
