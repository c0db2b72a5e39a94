//! The promise: bash, zsh and fish complete the names of the config's tokens wherever one is taken, and the words of options;
//! each is tried at a terminal. Of a config that is missing or broken nothing is completed, and nothing is said.

use std::process::Command;

use crate::pty::Terminal;
use support::{Sandbox, program, token};

/// A shell in a sandbox whose `renewd` prints how it was called, but for what the completions ask it.
struct Desk {
    shell: &'static str,
    terminal: Terminal,
    _sandbox: Sandbox,
}

impl Desk {
    fn new(shell: &'static str) -> Self {
        let sandbox = Sandbox::new();
        let names = ["sunbird", "kong-1", "a.b_c"];
        let quoted = |name: &str| if name.contains('.') { format!("\"{name}\"") } else { name.to_owned() };
        let jwt = |name: &str| {
            format!("[token.{}]\nsource = \"jwt\"\nalgorithm = \"HS256\"\nsecret.file = \"gone\"\n", quoted(name))
        };
        sandbox.put("config.toml", format!("include = [\"more/*.toml\"]\n{}", names.map(jwt).concat()));
        sandbox.mkdir("more");
        sandbox.put("more/x.toml", jwt("included"));
        sandbox.put("other.toml", jwt("other"));
        sandbox.put("broken.toml", "[token.other\n");
        sandbox.mkdir("bin");
        let real = support::binary().display().to_string();
        sandbox.script("bin/renewd", &format!("[ \"$1\" = __complete ] && exec '{real}' \"$@\"\necho \"RAN[$*]\""));
        let script = sandbox.run(&["completions", shell]).expect(0);
        assert_eq!(script.stderr, "");
        sandbox.put("script", script.stdout);

        let mut command: Command = sandbox.command(&[]);
        let path = format!("{}:{}", sandbox.path("bin").display(), std::env::var("PATH").expect("a PATH"));
        command.env("PATH", path).env("RENEWD_CONFIG", sandbox.path("config.toml"));
        let args: &[&str] = match shell {
            "bash" => &["--noprofile", "--norc", "-i"],
            "zsh" => &["-f", "-i"],
            _ => &["--no-config", "--interactive"],
        };
        let mut started = Command::new(shell);
        started.args(args).current_dir(sandbox.dir());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => started.env(name, value),
                None => started.env_remove(name),
            };
        }
        let mut terminal = Terminal::start(&started);
        // The prompt is written in two pieces, so that it is not seen in the line that sets it.
        terminal.send(match shell {
            "bash" => "source ./script; PS1='rea''dy> '\r",
            "zsh" => "autoload -U compinit; compinit -u -d ./dump; source ./script; PS1='rea''dy> '\r",
            _ => "source ./script; function fish_prompt; echo -n rea; echo -n 'dy> '; end\r",
        });
        terminal.wait_for("ready> ");
        Self { shell, terminal, _sandbox: sandbox }
    }

    /// What is run when this was typed and completed.
    #[track_caller]
    fn completes(&mut self, typed: &str, run: &str) {
        self.terminal.send(&format!("renewd {typed}\t\r"));
        let seen = self.terminal.wait_for(&format!("RAN[{run}]"));
        assert!(!seen.contains("error"), "{seen}");
        self.terminal.wait_for("ready> ");
    }

    /// What is offered where several fit.
    #[track_caller]
    fn offers(&mut self, typed: &str, words: &[&str]) {
        let from = self.terminal.all().len();
        // bash lists them at the second.
        let tabs = if self.shell == "bash" { "\t\t" } else { "\t" };
        self.terminal.send(&format!("renewd {typed}{tabs}"));
        for word in words {
            support::until(&format!("{word} is offered"), || self.terminal.all()[from..].contains(word));
        }
    }
}

fn tried(shell: &'static str) {
    if program(&format!("the completions of {shell}"), shell).is_none() {
        return;
    }
    let mut desk = Desk::new(shell);
    for command in ["once", "status", "rotate", "wait", "token", "exec"] {
        desk.completes(&format!("{command} sun"), &format!("{command} sunbird"));
    }
    desk.completes("token a.", "token a.b_c");
    desk.completes("token inc", "token included");
    desk.completes("status sunbird k", "status sunbird kong-1");
    desk.completes("token -c other.toml o", "token -c other.toml other");
    desk.completes("token --config=other.toml o", "token --config=other.toml other");
    // Nothing fits: the line stays as it is.
    desk.completes("token -c broken.toml o", "token -c broken.toml o");
    desk.completes("token -c gone.toml s", "token -c gone.toml s");
    desk.completes("check -c oth", "check -c other.toml");
    desk.completes("sche", "schema");
    desk.completes("generate --alg Ed", "generate --alg EdDSA");
    desk.completes("generate --secret-encoding he", "generate --secret-encoding hex");
    desk.completes("token sunbird --form", "token sunbird --format");
    desk.completes("token sunbird --format he", "token sunbird --format header");
    desk.completes("token sunbird --format=he", "token sunbird --format=header");
    desk.completes("init --for git", "init --for github-app");
    desk.completes("man renewd.t", "man renewd.toml");
    desk.completes("completions zs", "completions zsh");
    desk.completes("exec sunbird -- dirnam", "exec sunbird -- dirname");
    desk.offers("token ", &["sunbird", "kong-1", "a.b_c", "included"]);
}

#[test]
fn bash_completes() {
    tried("bash");
}

#[test]
fn zsh_completes() {
    tried("zsh");
}

#[test]
fn fish_completes() {
    tried("fish");
}

#[test]
fn a_wrong_or_missing_config_is_not_told_of_at_a_tab() {
    let sandbox = Sandbox::new();
    sandbox.put("broken.toml", "[token.other\n");
    for config in ["broken.toml", "gone.toml", "out"] {
        let ran = sandbox.run(&["__complete", "bash", "--", "renewd", "status", "-c", config, ""]).expect(0);
        assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("words\n", ""), "{config}");
    }
    // Names are known without the secrets, and where the config has a mistake that is not one of its syntax.
    sandbox.config(token("a").line("nonsense = 1"));
    std::fs::remove_file(sandbox.path("secret")).expect("the secret");
    let ran = sandbox.run(&["__complete", "bash", "--", "renewd", "status", "-c", "config.toml", ""]).expect(0);
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("words\na\n", ""));
}

#[test]
fn the_scripts_of_all_shells_are_there() {
    let sandbox = Sandbox::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = sandbox.run(&["completions", shell]).expect(0);
        assert!(ran.stdout.contains("renewd") && ran.stderr.is_empty(), "{ran:#?}");
    }
    let help = sandbox.run(&["--help"]).expect(0);
    assert!(!help.stdout.contains("__complete"), "what the scripts ask is nobody's command");
}
