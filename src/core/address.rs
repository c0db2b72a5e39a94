//! Owns: which addresses an endpoint may have: absolute http or https, nothing secret in it, plain http to loopback alone.
//! Does not: know which key one stands under, or reach it.

use url::{Host, Url};

/// Why an address is none. Says nothing of the text.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum AddressError {
    #[error("is not an absolute http or https URL")]
    NotAUrl,
    #[error("holds a user's name or password")]
    UserInfo,
    #[error("has a fragment, which is never sent")]
    Fragment,
    #[error("has a query")]
    Query,
    #[error("is plain http to another machine")]
    PlainHttp,
}

impl AddressError {
    /// What to do about it.
    pub(crate) fn help(self) -> &'static str {
        match self {
            Self::NotAUrl => "write it out, for instance \"https://idp.example/token\"",
            Self::UserInfo => "take it out of the URL: it would be seen in logs",
            Self::Fragment => "remove the `#` and what follows",
            Self::Query => "remove the `?` and what follows",
            Self::PlainHttp => {
                "anybody on the way could read the credential: use https, or set allow_http = true to do it all the same"
            }
        }
    }
}

/// The address that `text` is.
///
/// # Errors
/// It is none, or one that must not be asked.
pub(crate) fn parse(text: &str, allow_http: bool) -> Result<Url, AddressError> {
    // What the parser would drop or take for something else.
    let odd = |byte: u8| byte <= b' ' || byte == b'\\' || byte == 0x7f;
    let (scheme, _) = text.split_once("://").ok_or(AddressError::NotAUrl)?;
    if !["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) || text.bytes().any(odd) {
        return Err(AddressError::NotAUrl);
    }
    let url = Url::parse(text).map_err(|_| AddressError::NotAUrl)?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(AddressError::UserInfo);
    }
    if url.fragment().is_some() {
        return Err(AddressError::Fragment);
    }
    if url.scheme() == "http" && !allow_http && !is_loopback(&url) {
        return Err(AddressError::PlainHttp);
    }
    Ok(url)
}

/// 127.0.0.0/8, ::1 and localhost: what never leaves the machine.
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_stays_on_the_machine() {
        for near in
            ["http://127.0.0.1:8080/a", "http://127.9.9.9", "http://[::1]:1/", "http://LOCALHOST/", "HTTP://0x7f.1/"]
        {
            assert!(parse(near, false).is_ok(), "{near}");
        }
        for far in [
            "http://128.0.0.1/",
            "http://localhost.example/",
            "http://a.localhost/",
            "http://[::2]/",
            "http://[::ffff:127.0.0.1]/",
            "http://0.0.0.0/",
            "http://idp.example/",
        ] {
            assert_eq!(parse(far, false), Err(AddressError::PlainHttp), "{far}");
            assert!(parse(far, true).is_ok(), "{far}");
        }
        assert!(parse("https://idp.example/token?a=b", false).is_ok());
    }

    #[test]
    fn what_is_no_address_is_told() {
        use AddressError::{Fragment, NotAUrl, UserInfo};
        for (text, wrong) in [
            ("idp.example/token", NotAUrl),
            ("", NotAUrl),
            ("https:idp.example", NotAUrl),
            ("https://", NotAUrl),
            ("ftp://idp.example/", NotAUrl),
            ("https://idp.example\\@evil.example/", NotAUrl),
            ("https://idp.example/a b", NotAUrl),
            (" https://idp.example/", NotAUrl),
            ("https://idp.example/\n", NotAUrl),
            ("https://u@idp.example/", UserInfo),
            ("https://u:p@idp.example/", UserInfo),
            ("https://idp.example/#a", Fragment),
            ("https://idp.example:99999/", NotAUrl),
        ] {
            assert_eq!(parse(text, true), Err(wrong), "{text}");
        }
    }
}
