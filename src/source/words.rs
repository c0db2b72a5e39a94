//! Owns: finding what an endpoint says of a failure, in whatever shape it says it: a member of JSON under one of many names, the
//! title of a page, an element of XML, a line of text.
//! Does not: judge or mask it.

use serde_json::Value;

/// Names of members that hold words, the best first; written without separators, in small letters.
const NAMES: [&str; 18] = [
    "errordescription",
    "message",
    "errormessage",
    "errmsg",
    "errormsg",
    "msg",
    "detail",
    "details",
    "errorsummary",
    "faultstring",
    "statusmessage",
    "reason",
    "title",
    "description",
    "summary",
    "errors",
    "text",
    "error",
];
/// Names of members that hold a code.
const CODES: [&str; 7] = ["errcode", "errorcode", "errortype", "code", "error", "type", "status"];
/// Objects in objects, and no deeper.
const DEEPEST: usize = 4;
/// Elements of a page or of XML that hold words.
const ELEMENTS: [&str; 6] = ["title", "error_description", "message", "faultstring", "description", "h1"];

/// The words of a JSON answer: of the best name that is there, the one that stands nearest to the top.
pub(super) fn of_json(value: &Value) -> Option<String> {
    NAMES.iter().find_map(|name| (0..DEEPEST).find_map(|depth| find(value, name, depth, text)))
}

/// Its code, where it has one beside its words that says more than the status of the answer does (`about:blank`, RFC 9457 4.2.1,
/// says the same).
pub(super) fn code_of_json(value: &Value, status: u16) -> Option<String> {
    let status = status.to_string();
    let says_more = |code: &String| *code != status && code != "about:blank";
    let code = |name: &str, depth| find(value, name, depth, text_or_number).filter(says_more);
    CODES.iter().find_map(|name| (0..DEEPEST).find_map(|depth| code(name, depth)))
}

/// The title of a page, an element of XML, or the first line of a text; `None` of what is no text.
pub(super) fn of_text(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?.trim_start_matches('\u{feff}').trim();
    if text.starts_with('<') {
        return ELEMENTS.iter().find_map(|name| element(text, name));
    }
    text.lines().map(str::trim).find(|line| !line.is_empty()).map(str::to_owned)
}

/// What `read` makes of a member of this name, so many objects below.
fn find(value: &Value, name: &str, depth: usize, read: fn(&Value) -> Option<String>) -> Option<String> {
    match value {
        Value::Array(items) => items.iter().find_map(|item| find(item, name, depth, read)),
        Value::Object(members) if depth == 0 => {
            members.iter().filter(|(known, _)| bare(known) == name).find_map(|(_, value)| read(value))
        }
        Value::Object(members) => members.values().find_map(|member| find(member, name, depth - 1, read)),
        _ => None,
    }
}

fn bare(name: &str) -> String {
    name.chars().filter(|c| c.is_ascii_alphanumeric()).map(|c| c.to_ascii_lowercase()).collect()
}

/// A text, or the first of a list of them.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
        Value::Array(items) => items.first().and_then(text),
        _ => None,
    }
}

fn text_or_number(value: &Value) -> Option<String> {
    match value {
        Value::Number(number) => Some(number.to_string()),
        Value::String(_) => text(value),
        _ => None,
    }
}

/// What stands in the first element of this name.
fn element(text: &str, name: &str) -> Option<String> {
    let small = text.to_ascii_lowercase();
    let start = small.match_indices(&format!("<{name}")).find_map(|(at, found)| {
        let rest = small.get(at + found.len()..)?;
        rest.starts_with(['>', ' ']).then(|| rest.find('>').map(|end| at + found.len() + end + 1))?
    })?;
    let inner = text.get(start..)?;
    let words = inner.split('<').next()?.trim();
    let words = words
        .replace("&#39;", "'")
        .replace("&quot;", "\"")
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&");
    (!words.is_empty()).then_some(words)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn words_are_found_in_the_shapes_that_servers_have() {
        for said in [
            json!({"errcode": 40164, "errmsg": "the words"}),
            json!({"code": 10014, "msg": "the words"}),
            json!({"errors": [{"errorType": "invalid_grant", "message": "the words"}], "success": false}),
            json!([{"message": "the words", "errorCode": "X"}]),
            json!({"Message": "the words"}),
            json!({"errorCode": "E0000004", "errorSummary": "the words"}),
            json!({"title": "the words", "status": 400}),
            json!({"fault": {"faultstring": "the words", "detail": {"errorcode": "x"}}}),
            json!({"error": "invalid_client", "reason": "the words"}),
            json!({"error": {"code": 400, "message": "the words"}}),
            json!({"errors": ["the words"]}),
            json!({"meta": {"error": {"error_message": "the words"}}}),
            json!({"message": "", "detail": "the words"}),
        ] {
            assert_eq!(of_json(&said).as_deref(), Some("the words"), "{said}");
        }
        assert_eq!(of_json(&json!({"access": "x", "n": [1, null]})), None);
        assert_eq!(code_of_json(&json!({"errcode": 7}), 400).as_deref(), Some("7"));
    }

    #[test]
    fn pages_and_plain_texts_have_words_too() {
        for said in [
            "the words\nand more",
            "\n  the words  ",
            "<!DOCTYPE html><html><head><TITLE>the words</TITLE></head>",
            "<html><body><h1 class=\"x\">the words</h1>",
            "<?xml version=\"1.0\"?><Error><Message>the words</Message></Error>",
        ] {
            assert_eq!(of_text(said.as_bytes()).as_deref(), Some("the words"), "{said}");
        }
        for none in [&b""[..], b" \n", b"<html>", b"\xff\xfe", b"<title", b"<titles>x</titles>"] {
            assert_eq!(of_text(none), None);
        }
        assert_eq!(of_text(b"<title>a &amp; b</title>").as_deref(), Some("a & b"));
    }
}
