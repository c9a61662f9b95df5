//! Reads the parameters of a request as one JSON object, from a JSON body or from a query string with dotted
//! names. Pure; it does not know which parameters exist.

use crate::error::ApiError;
use crate::http::HttpRequest;
use serde_json::{Map, Value};

/// How the parameters were sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// JSON body: values carry their types.
    Json,
    /// Query string: every value is a string.
    Query,
}

/// Deepest nesting of a dotted name; the deepest real one has four labels (`Filters.0.Values.1`).
const MAX_DEPTH: usize = 8;

/// The parameters as sent.
pub(crate) fn read(request: &HttpRequest) -> Result<(Map<String, Value>, Form), ApiError> {
    if request.method == "GET" {
        return Ok((from_query(&request.query)?, Form::Query));
    }
    if !request.query.is_empty() {
        return Err(invalid("A POST takes its parameters in the body."));
    }
    let content_type = request.header("content-type").unwrap_or_default();
    if content_type.split(';').next().map(str::trim) != Some("application/json") {
        return Err(invalid("The content type of a POST must be application/json."));
    }
    match serde_json::from_slice(&request.body) {
        Ok(Value::Object(object)) => Ok((object, Form::Json)),
        Ok(_) => Err(invalid("The body is not a JSON object.")),
        // serde_json's text names a position, never the content.
        Err(error) => Err(invalid(&format!("The body is not JSON: {error}."))),
    }
}

fn invalid(why: &str) -> ApiError {
    ApiError::new("InvalidParameter", why)
}

fn from_query(query: &str) -> Result<Map<String, Value>, ApiError> {
    let mut root = Map::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = decode(name)?;
        if name.split('.').count() > MAX_DEPTH {
            return Err(invalid("A parameter name is nested too deeply."));
        }
        insert(&mut root, &name, decode(value)?)?;
    }
    root.into_iter().map(|(name, value)| Ok((name, lists(value)?))).collect()
}

fn insert(map: &mut Map<String, Value>, path: &str, value: String) -> Result<(), ApiError> {
    match path.split_once('.') {
        None => match map.insert(path.to_owned(), Value::String(value)) {
            None => Ok(()),
            Some(_) => Err(invalid("A parameter was sent twice.")),
        },
        Some((head, rest)) => match map.entry(head).or_insert_with(|| Value::Object(Map::new())) {
            Value::Object(inner) => insert(inner, rest, value),
            _ => Err(invalid("A parameter is both a value and a structure.")),
        },
    }
}

/// Turns every object with the keys 0, 1, 2 … into a list.
fn lists(value: Value) -> Result<Value, ApiError> {
    let Value::Object(map) = value else {
        return Ok(value);
    };
    let numeric = map.keys().any(|key| key.parse::<usize>().is_ok());
    let mut inner = map
        .into_iter()
        .map(|(key, value)| Ok((key, lists(value)?)))
        .collect::<Result<Map<String, Value>, ApiError>>()?;
    if !numeric {
        return Ok(Value::Object(inner));
    }
    (0..inner.len())
        .map(|index| {
            inner.remove(&index.to_string()).ok_or_else(|| invalid("A list does not count from 0 without gaps."))
        })
        .collect()
}

fn decode(text: &str) -> Result<String, ApiError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                let pair = digit(rest.next()).zip(digit(rest.next()));
                pair.and_then(|(high, low)| u8::try_from(high * 16 + low).ok())
                    .ok_or_else(|| invalid("The query string is not percent-encoded."))?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).map_err(|_| invalid("The query string is not UTF-8."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_query_becomes_nested_json() {
        let query = "Filters.0.Name=zone&Filters.0.Values.0=a&Filters.0.Values.1=%E6%94%AF+b&Limit=10&X.Y=True";
        assert_eq!(
            Value::Object(from_query(query).unwrap()),
            json!({"Filters": [{"Name": "zone", "Values": ["a", "支 b"]}], "Limit": "10", "X": {"Y": "True"}})
        );
    }

    #[test]
    fn twelve_items_keep_their_order() {
        let query = (0..12).map(|n| format!("Ids.{n}=v{n}")).collect::<Vec<_>>().join("&");
        let list = from_query(&query).unwrap().remove("Ids").unwrap();
        let expected: Vec<_> = (0..12).map(|n| format!("v{n}")).collect();
        assert_eq!(list, json!(expected));
    }

    #[test]
    fn a_post_is_a_json_object_and_nothing_beside_it() {
        let post = |query: &str, content_type: &str, body: &str| HttpRequest {
            method: "POST".to_owned(),
            query: query.to_owned(),
            headers: vec![("Content-Type".to_owned(), content_type.to_owned())],
            body: body.as_bytes().to_vec(),
            ..HttpRequest::default()
        };
        assert!(read(&post("", "application/json; charset=utf-8", "{}")).is_ok());
        for request in [
            post("Limit=1", "application/json", "{}"),
            post("", "application/x-www-form-urlencoded", "{}"),
            post("", "application/json", ""),
            post("", "application/json", "[]"),
        ] {
            assert_eq!(read(&request).unwrap_err().code, "InvalidParameter");
        }
    }

    #[test]
    fn broken_queries_are_refused() {
        for query in ["A=1&A=2", "A=1&A.B=2", "A.B=2&A=1", "A.1=x", "A=%zz", "A=%ff", "A.B.C.D.E.F.G.H.I=1"] {
            assert_eq!(from_query(query).unwrap_err().code, "InvalidParameter", "{query}");
        }
    }
}
