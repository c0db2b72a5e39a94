//! Owns: how a person gets a token its first refresh token.
//! Does not: log in.

use crate::core::words::words;

words! {
    /// The word of `login.flow`, and of `renewd login --flow`.
    pub enum LoginFlow {
        Device = "device",
        Browser = "browser",
    }
}

/// How the first refresh token is had of a person, who logs in once.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LoginSettings {
    /// Where the command line names none.
    pub flow: LoginFlow,
    /// Asked for at the login, in place of the token's own.
    pub scope: Option<String>,
    /// Further fields of the request that begins the login, in order.
    pub params: Vec<(String, String)>,
    /// Of the loopback address that the browser comes back to (RFC 8252 7.3); `None`: any that is free.
    pub redirect_port: Option<u16>,
    /// RFC 6749 3.1; `None`: the issuer tells it.
    pub authorization_url: Option<String>,
    /// RFC 8628 3.1; `None`: the issuer tells it.
    pub device_authorization_url: Option<String>,
}
