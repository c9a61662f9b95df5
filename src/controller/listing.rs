//! A list read while it arrives: its objects are handed on one by one, and never all held.
//!
//! The whole is asked for, not pages: the API server answers that from its cache, in one go. Pages after the first come out of its cache
//! only as long as a write to any of the objects was made since etcd was last compacted (every 5 minutes); else each is read from etcd and
//! decoded anew, which with 10,000 objects at rest takes ten seconds in place of two. Source: measured on kube-apiserver 1.37; see
//! `docs/scale.md`.

use std::io::{Error as IoError, ErrorKind};
use std::pin::Pin;

use futures::{AsyncBufRead, AsyncBufReadExt};
use kube::api::ListParams;
use kube::core::Request;
use kube::{Api, Client};
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use serde_json::error::Category;

use super::watched::Watched;

/// Most bytes of one object, and of all that stands beside them. Source: our choice: etcd takes no object above 1.5 MiB.
const MOST_BYTES: usize = 8 << 20;

/// How deep the objects of a list stand: in the list's own braces and in the brackets of `items`.
const OF_AN_ITEM: usize = 2;

/// A list that is arriving.
pub struct Listing {
    body: Pin<Box<dyn AsyncBufRead + Send>>,
    parts: Parts,
}

impl Listing {
    /// Asks for the list.
    pub async fn begin(client: &Client, api: &Api<Watched>, params: &ListParams) -> kube::Result<Self> {
        let request = Request::new(api.resource_url()).list(params).map_err(kube::Error::BuildRequest)?;
        Ok(Self::of(client.request_stream(request).await?))
    }

    fn of(body: impl AsyncBufRead + Send + 'static) -> Self {
        Self { body: Box::pin(body), parts: Parts::default() }
    }

    /// The next object; none once all are in. One that cannot be read, which the schema does not let in, spoils the whole list: who is
    /// left out would count as deleted, and its machine as nobody's.
    pub async fn next(&mut self) -> kube::Result<Option<Watched>> {
        if !self.read_item().await.map_err(kube::Error::ReadEvents)? {
            return Ok(None);
        }
        let item = &self.parts.item;
        serde_json::from_slice(item).map(Some).map_err(|error| kube::Error::ReadEvents(unreadable(item, &error)))
    }

    /// The version of the whole, once all of it is in.
    pub fn version(self) -> kube::Result<String> {
        self.parts.version().map_err(kube::Error::ReadEvents)
    }

    /// Reads on until the JSON of the next object is in `parts.item`; false at the end.
    async fn read_item(&mut self) -> Result<bool, IoError> {
        self.parts.item.clear();
        loop {
            let bytes = self.body.fill_buf().await?;
            if bytes.is_empty() {
                return Ok(false);
            }
            let (used, is_whole) = self.parts.take(bytes)?;
            self.body.consume_unpin(used);
            if is_whole {
                return Ok(true);
            }
        }
    }
}

/// What is read of an object that cannot be read whole.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Named {
    metadata: Name,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Name {
    namespace: String,
    name: String,
}

fn unreadable(item: &[u8], error: &serde_json::Error) -> IoError {
    let Named { metadata: Name { namespace, name } } = serde_json::from_slice(item).unwrap_or_default();
    malformed(&format!("the PaiInstance {namespace}/{name} in it is not as the schema wants it: {error}"))
}

/// A list besides its objects.
#[derive(Deserialize)]
struct Rest {
    /// Nothing is left of it, but it was there.
    #[serde(rename = "items", deserialize_with = "nothing")]
    _items: (),
    metadata: Metadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    #[serde(default)]
    resource_version: String,
    #[serde(default, rename = "continue")]
    next_page: String,
}

/// An empty list, or null.
fn nothing<'de, D: Deserializer<'de>>(deserializer: D) -> Result<(), D::Error> {
    Option::<[IgnoredAny; 0]>::deserialize(deserializer).map(drop)
}

/// Where in a text of JSON a byte stands.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Place {
    #[default]
    Outside,
    Text,
    Escaped,
}

/// Takes a list apart, byte by byte. Looks at braces, brackets and quotes alone: what is between them is read by the JSON reader.
#[derive(Debug, Default)]
struct Parts {
    place: Place,
    depth: usize,
    /// The last text that stood in the list's own braces: before a bracket there it is a key.
    key: Vec<u8>,
    in_items: bool,
    item: Vec<u8>,
    /// The list without its objects.
    rest: Vec<u8>,
}

impl Parts {
    /// Takes bytes up to the end of an object, which then is in `item`. How many it took, and whether it came to such an end.
    fn take(&mut self, bytes: &[u8]) -> Result<(usize, bool), IoError> {
        let mut left = bytes;
        loop {
            // In an object all is taken at once up to the next byte that counts.
            if self.in_items && self.depth > OF_AN_ITEM {
                let counts = |byte: &u8| match self.place {
                    Place::Text => matches!(byte, b'"' | b'\\'),
                    Place::Outside => matches!(byte, b'"' | b'{' | b'}' | b'[' | b']'),
                    Place::Escaped => true,
                };
                let plain = left.iter().position(counts).unwrap_or(left.len());
                let (taken, after) = left.split_at(plain);
                keep(&mut self.item, taken)?;
                left = after;
            }
            let Some((byte, after)) = left.split_first() else { return Ok((bytes.len(), false)) };
            left = after;
            if self.take_one(*byte)? {
                return Ok((bytes.len() - left.len(), true));
            }
        }
    }

    fn take_one(&mut self, byte: u8) -> Result<bool, IoError> {
        let depth = self.depth;
        match self.place {
            Place::Escaped => self.place = Place::Text,
            Place::Text => self.text(byte),
            Place::Outside => self.outside(byte)?,
        }
        if !self.in_items || depth < OF_AN_ITEM {
            keep(&mut self.rest, &[byte])?;
            return Ok(false);
        }
        if depth > OF_AN_ITEM || (self.depth > OF_AN_ITEM && byte == b'{') {
            keep(&mut self.item, &[byte])?;
            return Ok(self.depth == OF_AN_ITEM);
        }
        if byte == b',' || byte.is_ascii_whitespace() {
            Ok(false)
        } else {
            Err(malformed("what it lists are no objects"))
        }
    }

    fn text(&mut self, byte: u8) {
        match byte {
            b'\\' => self.place = Place::Escaped,
            b'"' => self.place = Place::Outside,
            _ if self.depth == 1 => self.key.push(byte),
            _ => {}
        }
    }

    fn outside(&mut self, byte: u8) -> Result<(), IoError> {
        match byte {
            b'"' => {
                self.place = Place::Text;
                if self.depth == 1 {
                    self.key.clear();
                }
            }
            b'{' | b'[' => {
                self.depth += 1;
                self.in_items |= self.depth == OF_AN_ITEM && byte == b'[' && self.key == b"items";
            }
            b'}' | b']' => {
                self.depth = self.depth.checked_sub(1).ok_or_else(|| malformed("a bracket too many"))?;
                self.in_items &= self.depth >= OF_AN_ITEM;
            }
            _ => {}
        }
        Ok(())
    }

    /// The list's version, if all of it is in.
    fn version(self) -> Result<String, IoError> {
        // A list in brackets would be read field by field.
        if self.rest.trim_ascii_start().first().is_some_and(|first| *first != b'{') {
            return Err(malformed("it is none"));
        }
        let Rest { metadata, .. } = serde_json::from_slice(&self.rest).map_err(|error| match error.classify() {
            Category::Eof => IoError::new(ErrorKind::UnexpectedEof, "the API server's list ends early"),
            _ => malformed("it is not as lists are"),
        })?;
        if !metadata.next_page.is_empty() {
            return Err(malformed("only a page of it was sent"));
        }
        if metadata.resource_version.is_empty() {
            return Err(malformed("it has no resourceVersion"));
        }
        Ok(metadata.resource_version)
    }
}

fn keep(part: &mut Vec<u8>, bytes: &[u8]) -> Result<(), IoError> {
    if part.len() + bytes.len() > MOST_BYTES {
        return Err(malformed("a part of it is too long"));
    }
    part.extend_from_slice(bytes);
    Ok(())
}

fn malformed(why: &str) -> IoError {
    IoError::new(ErrorKind::InvalidData, format!("the API server's list cannot be read: {why}"))
}

#[cfg(test)]
mod tests {
    use futures::io::{BufReader, Cursor};
    use futures::{FutureExt, StreamExt, TryStreamExt, stream};

    use super::*;

    /// Reads a list that arrives in pieces of `size` bytes: its objects, and its version or what is wrong with it.
    fn read_in_pieces(list: &str, size: usize) -> (Vec<String>, Result<String, String>) {
        let pieces: Vec<Result<Vec<u8>, IoError>> =
            list.as_bytes().chunks(size).map(|piece| Ok(piece.to_vec())).collect();
        read_all(stream::iter(pieces).boxed().into_async_read())
    }

    fn read_all(body: impl AsyncBufRead + Send + 'static) -> (Vec<String>, Result<String, String>) {
        let (mut listing, mut objects) = (Listing::of(body), Vec::new());
        let end = loop {
            match listing.read_item().now_or_never().unwrap() {
                Ok(true) => objects.push(String::from_utf8(listing.parts.item.clone()).unwrap()),
                Ok(false) => break listing.parts.version(),
                Err(error) => break Err(error),
            }
        };
        (objects, end.map_err(|error| error.to_string()))
    }

    #[test]
    fn however_it_arrives_each_object_is_handed_on_whole() {
        let objects = [
            r#"{"metadata":{"name":"a"},"spec":{"items":[{"deep":[[],{}]}]}}"#,
            r#"{"text":"} ] , { [ \" \\","\"":"\\\""}"#,
            r#"{ "spaced" : { } }"#,
            r#"{"metadata":{"resourceVersion":"not the list's","continue":"nor this"}}"#,
            r#"{"name":"ü\u00fc"}"#,
        ];
        let lists = [
            format!(
                r#"{{"apiVersion":"items","items":[{}],"kind":"L","metadata":{{"resourceVersion":"7"}}}}"#,
                objects.join(",")
            ),
            format!(
                "{{ \"metadata\" : {{ \"resourceVersion\" : \"7\", \"items\":[1] }}, \"kind\":\"items\",\n \"items\" : [ {} ]\n}}\n",
                objects.join(" ,\n ")
            ),
        ];
        for list in &lists {
            for size in 1..=list.len() {
                let (found, end) = read_in_pieces(list, size);
                assert_eq!((found, end), (objects.map(str::to_owned).to_vec(), Ok("7".to_owned())), "{size} of {list}");
            }
        }
    }

    #[test]
    fn an_empty_list_has_a_version_too() {
        for items in ["[]", "null", "[ ]"] {
            let list = format!(r#"{{"items":{items},"metadata":{{"resourceVersion":"7","continue":""}}}}"#);
            assert_eq!(read_in_pieces(&list, 5), (Vec::new(), Ok("7".to_owned())));
        }
    }

    #[test]
    fn a_list_that_is_cut_anywhere_proves_nothing() {
        let list = r#"{"items":[{"a":"b"},{"c":"d"}],"metadata":{"resourceVersion":"7"}}"#;
        for length in 0..list.len() {
            let (_, end) = read_in_pieces(&list[..length], 9);
            assert_eq!(end, Err("the API server's list ends early".to_owned()), "{}", &list[..length]);
        }
    }

    #[test]
    fn what_is_no_whole_list_is_refused() {
        for (list, why) in [
            (r#"{"items":[{}],"metadata":{}}"#, "no resourceVersion"),
            (r#"{"items":[{}]}"#, "not as lists are"),
            (r#"{"items":[{}],"metadata":{"resourceVersion":"7","continue":"x"}}"#, "only a page"),
            (r#"{"items":[7],"metadata":{"resourceVersion":"7"}}"#, "no objects"),
            (r#"{"items":[[]],"metadata":{"resourceVersion":"7"}}"#, "no objects"),
            (r#"{"items":["{}"],"metadata":{"resourceVersion":"7"}}"#, "no objects"),
            (r#"{"items":{},"metadata":{"resourceVersion":"7"}}"#, "not as lists are"),
            (r#"{"metadata":{"resourceVersion":"7"}}"#, "not as lists are"),
            (r#"{"items":[],"items":[{}],"metadata":{"resourceVersion":"7"}}"#, "not as lists are"),
            (r#"{"it\u0065ms":[{}],"metadata":{"resourceVersion":"7"}}"#, "not as lists are"),
            (r#"[null,{"resourceVersion":"7"}]"#, "it is none"),
            ("]", "a bracket too many"),
            ("upstream connect error", "it is none"),
            ("{upstream connect error}", "not as lists are"),
        ] {
            let (_, end) = read_in_pieces(list, 3);
            let error = end.unwrap_err();
            assert!(error.contains(why), "{list}: {error}");
        }
        let endless = format!(r#"{{"items":[{{"a":"{}"#, "b".repeat(MOST_BYTES));
        let (_, end) = read_all(BufReader::new(Cursor::new(endless)));
        assert!(end.unwrap_err().contains("too long"));
    }
}
