//! Owns: `renewd generate`: one token on stdout, without a config.
//! Does not: keep or deliver it.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::core::json::{self, JsonError};
use crate::core::settings::{JwtSettings, KeyClaim, Lifetime};
use crate::host::clock;
use crate::source::jwt;

use super::input::{self, KeyArgs};
use super::{Ended, Failure};

/// Sign one token and print it
///
/// The secret is read from a file or stdin and never taken from the command line, where `ps` shows it.
/// Exit codes: 0 done; 1 the secret or key is missing, weak or unusable; 64 usage.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The public name of the credential: becomes the claim iss, or the header's kid
    #[arg(long, value_name = "K")]
    key: String,

    /// Where --key goes: the claim iss, or kid in the header
    #[arg(long, value_name = "CLAIM", default_value = "iss", value_parser = key_claim)]
    key_claim: KeyClaim,

    #[command(flatten)]
    signer: KeyArgs,

    /// How long it is good for ("90s", "1h 30m"), or "never": then it has no exp
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = input::lifetime)]
    lifetime: Lifetime,

    /// Backdate iat (and nbf) by so much; exp stays
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = input::duration)]
    skew: Duration,

    /// A claim that is a string; may be repeated
    #[arg(long, value_name = "NAME=TEXT", value_parser = text_member)]
    claim: Vec<(String, Value)>,

    /// A claim that is any JSON; iat, exp, nbf and jti are true or false: whether they are there
    #[arg(long, value_name = "NAME=JSON", value_parser = json_member)]
    claim_json: Vec<(String, Value)>,

    /// A header member that is a string (never alg); may be repeated
    #[arg(long, value_name = "NAME=TEXT", value_parser = text_member)]
    header: Vec<(String, Value)>,
}

pub(crate) fn run(args: &Args) -> Ended {
    let members = JwtMembers::of(args)?;
    let (key, algorithm) = args.signer.load()?;
    let settings = JwtSettings {
        algorithm,
        signing_key: Arc::new(key),
        key: Some(args.key.clone()),
        key_claim: args.key_claim,
        lifetime: args.lifetime,
        skew: args.skew,
        claims: members.claims.into(),
        header: members.header.into(),
        iat: members.iat,
        exp: members.exp,
        nbf: members.nbf,
        jti: members.jti,
    };
    let (made, _) =
        jwt::mint(&settings, clock::now().wall, input::draw_jti()?).map_err(|e| Failure::failed(e.message))?;
    input::print(made.expose(), "\n")?;
    Ok(ExitCode::SUCCESS)
}

/// Claims and header as asked for, each member once.
struct JwtMembers {
    claims: Map<String, Value>,
    header: Map<String, Value>,
    iat: bool,
    exp: bool,
    nbf: bool,
    jti: bool,
}

impl JwtMembers {
    fn of(args: &Args) -> Result<Self, Failure> {
        let mut members = Self { claims: Map::new(), header: Map::new(), iat: true, exp: true, nbf: false, jti: true };
        let by_key = |claim: KeyClaim, name: &str| args.key_claim == claim && name == claim.word();
        for (name, value) in args.claim.iter().chain(&args.claim_json) {
            members.claim(name, value, by_key(KeyClaim::Iss, name))?;
        }
        for (name, value) in &args.header {
            if name == "alg" {
                return Err(Failure::usage("--header alg: the algorithm is given by --alg"));
            }
            once(&mut members.header, "--header", name, value, by_key(KeyClaim::Kid, name))?;
        }
        Ok(members)
    }

    fn claim(&mut self, name: &str, value: &Value, by_key: bool) -> Result<(), Failure> {
        let switch = match name {
            "iat" => &mut self.iat,
            "exp" => &mut self.exp,
            "nbf" => &mut self.nbf,
            "jti" => &mut self.jti,
            _ => return once(&mut self.claims, "--claim", name, value, by_key),
        };
        match value {
            Value::Bool(on) => *switch = *on,
            _ => {
                return Err(Failure::usage(format!(
                    "--claim {name}: renewd sets it; --claim-json {name}=true or {name}=false says whether it is there, --lifetime and --skew when it is"
                )));
            }
        }
        Ok(())
    }
}

/// Each member is there once. `by_key`: --key sets it.
fn once(into: &mut Map<String, Value>, option: &str, name: &str, value: &Value, by_key: bool) -> Result<(), Failure> {
    if by_key || into.insert(name.to_owned(), value.clone()).is_some() {
        return Err(Failure::usage(format!("{option} {name}: it is there twice, or --key sets it already")));
    }
    Ok(())
}

pub(crate) fn key_claim(name: &str) -> Result<KeyClaim, String> {
    KeyClaim::parse(name).ok_or_else(|| "it is iss or kid".into())
}

fn text_member(text: &str) -> Result<(String, Value), String> {
    let (name, value) = named(text)?;
    Ok((name, Value::String(value.to_owned())))
}

fn json_member(text: &str) -> Result<(String, Value), String> {
    let (name, value) = named(text)?;
    let value = json::parse(value.as_bytes()).map_err(|e| match e {
        JsonError::Duplicate { column, .. } => format!("a member of the JSON stands twice (column {column})"),
        JsonError::Syntax { column, .. } => {
            format!("what stands after the = is not JSON (column {column}); a text is --claim")
        }
        JsonError::NotAnObject => e.to_string(),
    })?;
    Ok((name, value))
}

fn named(text: &str) -> Result<(String, &str), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value)),
        _ => Err("it looks like NAME=VALUE".into()),
    }
}
