//! Owns: that a state of an earlier version is still of use: what a token is made from has the digest it had there.
//! Does not: show that each setting is in it (`tests/settings.rs` does, with the binary).

use super::sources::{command, github, http, oauth2, planned};
use super::*;

fn digest(config: String) -> String {
    data_encoding::HEXLOWER.encode(&planned(config)[0].made_from.0)
}

/// The literals are of version 0.1.0: an upgrade obtains nothing anew.
#[test]
fn digests_are_what_they_were() {
    let p256 = "algorithm = \"ES256\"\nkey = \"k\"\nkey_claim = \"kid\"\nprivate_key.file = \"key.pem\"\nlifetime = \"never\"\n\
                rotate_every = \"1d\"\n";
    let p256 =
        format!("[token.t]\nsource = \"jwt\"\n{p256}header.typ = \"at+jwt\"\nclaims = {{ nbf = true, jti = false }}\n");
    let refresh =
        "grant = \"refresh_token\"\nrefresh_token.file = \"good.secret\"\nclient_auth = \"client_secret_post\"\n";
    let exchange = "grant = \"token_exchange\"\nsubject_token.file = \"/run/id.jwt\"\n";
    let bearer = "grant = \"jwt_bearer\"\nassertion = { algorithm = \"ES256\", private_key.file = \"key.pem\", claims = { sub = \"a\" }, header = { kid = \"k\" } }\n";
    let by_key = "assertion = { algorithm = \"ES256\", private_key.file = \"key.pem\", lifetime = \"1m\" }\n";
    let tls = "client_cert.file = \"cert.pem\"\nclient_key.file = \"key.pem\"\n";
    let portal = "bearer.token = \"portal2\"\nheaders = { x = \"{{ token.portal2 }}\" }\nresponse.expires_in = \"/e\"\nttl = \"90s\"\n";
    let portal2 = http(&[], "").replace("token.portal]", "token.portal2]");
    let body = "json = { a = [\"{{ secret }}\", 1], b = { c = true } }\nmethod = \"PUT\"\n";
    let output =
        "env = { A = \"{{ secret }}\" }\nsecret.file = \"good.secret\"\nresponse = { token = \"/t\" }\nttl = \"1h\"\n";
    let digests = [
        ("jwt", digest(token(""))),
        ("jwt, base64", digest(token("secret.encoding = \"base64\"\nallow_weak_secret = true\n"))),
        ("jwt, p256", digest(p256)),
        ("oauth2", digest(oauth2(&[], "scope = \"a b\"\nparams = { x = [\"1\", \"2\"] }\nttl = \"1h\"\n"))),
        ("oauth2, issuer", digest(oauth2(&["token_url"], "issuer = \"https://idp.example\"\n"))),
        ("oauth2, refresh", digest(oauth2(&["grant"], refresh))),
        ("oauth2, exchange", digest(oauth2(&["grant"], exchange))),
        ("oauth2, bearer", digest(oauth2(&["grant"], bearer))),
        ("oauth2, by key", digest(oauth2(&["client_secret"], by_key))),
        ("oauth2, tls", digest(oauth2(&["client_secret"], tls))),
        ("http", digest(http(&[], ""))),
        ("http, with all", digest(http(&["response"], &format!("response.token = \"/token\"\n{portal}")) + &portal2)),
        ("http, json", digest(http(&["form"], body))),
        ("github-app", digest(github(&["private_key", "installation"], GITHUB))),
        ("command", digest(command(&[], ""))),
        ("command, with all", digest(command(&[], output))),
    ];
    let told: String = digests.iter().map(|(what, digest)| format!("{digest} {what}\n")).collect();
    assert_eq!(told, DIGESTS);
}

const DIGESTS: &str = "\
03f9db18a8baeecc3a9de5a17ad48a5e jwt\n\
f04e59e2d72695b38b29e7e997604dfb jwt, base64\n\
afc9a877525b71d95c73fa5d6c0008b3 jwt, p256\n\
c2d23267aae1f38ef4e2fd9f5a3b6fd6 oauth2\n\
1450121ce2acf90907c32e8df2a91c49 oauth2, issuer\n\
8d232f8e4829fa64ba3603a6bf9a5679 oauth2, refresh\n\
513afba837bb542e39aeff422964ca2b oauth2, exchange\n\
af5b4bf0b84e4db1048d9cf3d73eb61b oauth2, bearer\n\
66f59641df997f88922dda6a998de1bb oauth2, by key\n\
562a828d128b632f95e7c5378ffb35fb oauth2, tls\n\
c2d48d69dd8ee4ff004addf4f73f2790 http\n\
b7d81337376c70838ec3f781e2403637 http, with all\n\
289cc4d0b4dfbfce64669b6e7f880ea2 http, json\n\
35c7797850278a3cf8f56f5cb5bfc26e github-app\n\
c6a2354a97ec95914494bea5ce4b956f command\n\
7cf48cfa4db9cf4072f6ab8596637749 command, with all\n";

/// Made for this test.
const GITHUB: &str = "\
installation_owner = \"acme\"\n\
permissions = { contents = \"read\", issues = \"write\" }\n\
repositories = [\"jobs\"]\n\
private_key.value = \"\"\"\n\
-----BEGIN PRIVATE KEY-----\n\
MIIEvwIBADANBgkqhkiG9w0BAQEFAASCBKkwggSlAgEAAoIBAQChiAxuBK0MKIKP\n\
lgGtgv9G0kj3N+R8ha3slzeLUEMQnENRkRZDAkXEmyH8pWs1PoFLDFei76Lzicxh\n\
wSTsRFiELVY/SOfciTh+sz+/vVPDh+vKu8v1vos1G3/xGOf9NhUOwaEMVXJfdhSF\n\
vaN7iY8dZ7KXQLm75mIPI2ofeP6ST4l52Gv59Bsa57sJXVo6XKGCVc2n0I7ycM2Q\n\
ccDZ95TeQ1E+3cOgDJzxWewojMcBwRlAalqgKQMnO+0nVYgev+roxIB8WgwhVCMY\n\
AZ3bfLOjCM5JXLd+JZv3sjpANQKiPOYzg+2217tV8CZlVptMK51q4J7HBqVO7xbq\n\
2aph3YCtAgMBAAECggEANoM4VqSjVbgSH6zrEghkaB0tXKjzJgbjJDYAG7bReziR\n\
C2TgU2rf6rLD7IRSwtw+O/qFVMp0fqXhYJgTAt0p1imKsr7C6M0yUKfjeqzFKPak\n\
330zHtLYHesS6WWTXQO0ZY947zWi7I5n7J6MHnPU5YKKZbsFM2FTdHJqLQbjOrKt\n\
me+dON7hyDoUVBWtmu3h57VHzHpBfDFZkvFRWADiBBTridtenzo7o4xssvDQIe3D\n\
spuGturQp2kU8fWimrF1zmhZXfU01Op2neKRken2ZURNc9Ut5G604QSXEBX9Ft0+\n\
GUjBra9gMqyWo+xe7xbL/Ukh9zoUyDSs9U85HfPjTQKBgQDN0RiVZy3I399jd3Ix\n\
n3edRvh3e0ljUQyEB7YL/HtHHcWp2wuP0hCHDxdsJGbwzIBRBV8Z5to85H0Hx5Kl\n\
ZuB0DNY/7G41inxQmYruYrcasUFjiB/LTUN/mw3fLPh3qzx62oOSXi7ogpR97j9C\n\
xDVELyI0cIzdXPTNxXxluRI90wKBgQDI6rM7O9u3KWHyosKF5w0aHO6p/Wr8eC/1\n\
0lygsrnBD4BPE6S7IV8NN4HqYmsuOdCRl98Odf58J/zf/cYYzbPGcvIEQP9hAsxA\n\
unoSU5xOeDBqUzNXhF2KeejGBL6GoEGV/qZuvZdV2hLrGG6q9ihW2RcfLayJVXI+\n\
wH/WU4W3fwKBgQDESq/PjeA0vI8pJjpa6WQDNDS0f3i2qA3vvgr504sfgF2MacTV\n\
Hdt1dAc6tF0ZO3EF1MGmym1JtgEo8kYCSeO3yqZrwOo7ViDKHiZKxQstAfEDJEhu\n\
dPnzMcZBG3q9Zyr/YHgrmHfUePV2RUtAOjEzHmDY8p7mYEl6FudVfPTQ0QKBgQCj\n\
pN4U+d0sYy1fFghATf+S7EvL8xenyTCvFQbS8J9xSvHj9ojuzfCAcFyFjmHkBb0G\n\
SN+qBJshfuRtgGJQI4MwuMC8jEA1QLUiZ4Az2xvtoeE1SM0BlFMoDcF1P7n7Jx4k\n\
UIQ4oH1ZtMRB7eV9o/8ZNbqqb2YfeZQS3nGBHQhFewKBgQC9/INIKatBq74/xjCA\n\
cMCtW5hifPM6aTPspbOn5z6qK894SdKCdrIsQlDVxKpobAnU3BaE66S5xlO2thJG\n\
tq/LXPCcrYjcIUqH1eej4v5A2WuYpEopW/jj/lqqUUyT55rlNHEd2QUw5RaUccxS\n\
vSvt0SH4Tc7b7WcXGQBYTR8Krw==\n\
-----END PRIVATE KEY-----\n\
\"\"\"\n";
