//! Owns: `renewd init`: what a first config needs is asked for or taken from flags, and both files are written.
//! Does not: judge what it writes; the road of every command does, before the files are in place.

mod ask;
mod kind;
mod place;
mod secret;
mod write;

use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;

use super::hang::Look;
use super::{Ended, Failure, Surroundings, input};
use crate::core::settings::TokenName;
use ask::Prompt;
use kind::{Answers, InitKind};
use place::Destination;

/// Write a first config and the file of its secret
///
/// On a terminal what is not given is asked for; the secret is read without being shown. Elsewhere it is read from stdin.
/// It is never taken from the command line. Where the config is there already and includes config.d/*.toml, the token
/// gets a file of its own there. Nothing is overwritten: both files are written, or neither.
/// Exit codes: 0 done; 1 a file is there already, or the secret or key does not fit; 64 usage.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// What the token is for
    #[arg(long = "for", value_name = "KIND")]
    kind: Option<InitKind>,

    /// The token's name; default: a word of the kind
    #[arg(long, value_name = "NEW")]
    name: Option<String>,

    /// File with the secret or private key now, which is copied (`-`: stdin)
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,

    /// The file that the token is delivered to; default: /run/renewd/NEW.token for a config in /etc, else tokens/NEW.token
    /// beside the config
    #[arg(long, value_name = "PATH")]
    output: Option<String>,

    /// Of sunbird and kong: the public name of the credential; of apns: the Key ID
    #[arg(long, value_name = "KEY")]
    key: Option<String>,

    /// Of oauth2, entra and github-app: the client's id; of github-app the App ID will do
    #[arg(long, value_name = "ID")]
    client_id: Option<String>,

    /// Of oauth2: the issuer, which tells its token endpoint; or else --url
    #[arg(long, value_name = "URL", conflicts_with = "url")]
    issuer: Option<String>,

    /// Of oauth2: the token endpoint; of http: the address that is asked
    #[arg(long, value_name = "URL")]
    url: Option<String>,

    /// Of oauth2, google and entra: the scopes, with a space between
    #[arg(long, value_name = "SCOPE")]
    scope: Option<String>,

    /// Of entra: the tenant's id or domain
    #[arg(long, value_name = "TENANT")]
    tenant: Option<String>,

    /// Of apns: the Team ID
    #[arg(long, value_name = "TEAM")]
    team: Option<String>,

    /// Of github-app: the installation's id, its OWNER, or OWNER/REPOSITORY
    #[arg(long, value_name = "INSTALLATION")]
    installation: Option<String>,

    /// Of command: the program that prints the token
    #[arg(long, value_name = "PATH")]
    program: Option<String>,
}

impl Args {
    /// The flags that only some kinds have, by their names.
    fn given(&self) -> [(&'static str, &Option<String>); 9] {
        [
            ("key", &self.key),
            ("client-id", &self.client_id),
            ("issuer", &self.issuer),
            ("url", &self.url),
            ("scope", &self.scope),
            ("tenant", &self.tenant),
            ("team", &self.team),
            ("installation", &self.installation),
            ("program", &self.program),
        ]
    }
}

pub(crate) fn run(args: &Args, around: &Surroundings) -> Ended {
    let asker = io::stdin().is_terminal().then(Prompt::new);
    let kind = match (args.kind, &asker) {
        (Some(kind), _) => kind,
        (None, Some(asker)) => asker.kind()?,
        (None, None) => {
            return Err(Failure::usage(format!("--for is missing: one of {}", InitKind::WORDS.join(", "))));
        }
    };
    let name = name(args, kind)?;
    // Before anything is asked: what is refused in the end is refused now.
    let look = Look::begin("looking at the place of the config".into());
    let place = Destination::find(around, &name, kind)?;
    drop(look);
    let answers = answers(args, kind, asker.as_ref())?;
    let secret = secret::read(kind, args.secret_file.as_deref(), asker.as_ref())?;
    let text = place.text(kind, &name, &answers, args.output.as_deref(), secret.is_some());
    let made = write::both(&place, &text, secret.as_ref(), around)?;
    if !around.is_quiet() {
        input::print(&place.told(&made, around), "")?;
    }
    Ok(ExitCode::SUCCESS)
}

fn name(args: &Args, kind: InitKind) -> Result<TokenName, Failure> {
    let text = args.name.as_deref().unwrap_or(kind.usual_name());
    TokenName::new(text).ok_or_else(|| {
        Failure::usage("--name: a token's name is 1 to 64 of A-Z a-z 0-9 _ . -, a letter or digit first")
    })
}

/// What the kind needs, from the flags, or asked for.
fn answers(args: &Args, kind: InitKind, asker: Option<&Prompt>) -> Result<Answers, Failure> {
    let mut answers = Answers::default();
    let fields = kind.fields();
    for (flag, value) in args.given() {
        let Some(value) = value else { continue };
        if !fields.iter().any(|field| field.flag == flag) {
            return Err(Failure::usage(format!("--{flag} does not go with --for {}", kind.word())));
        }
        if value.is_empty() || value.chars().any(char::is_control) {
            return Err(Failure::usage(format!("--{flag} is empty, or holds a control character")));
        }
        answers.set(flag, value.clone());
    }
    let mut missing = Vec::new();
    for field in fields {
        match asker {
            _ if answers.has_either(field) => {}
            Some(asker) => {
                if let Some(answer) = asker.field(field)? {
                    answers.set(field.flag, answer);
                }
            }
            None if field.needed => missing.push(match field.or {
                Some(or) => format!("--{} or --{or}", field.flag),
                None => format!("--{}", field.flag),
            }),
            None => {}
        }
    }
    if missing.is_empty() {
        return Ok(answers);
    }
    Err(Failure::usage(format!("--for {} needs {} too", kind.word(), missing.join(", "))))
}
