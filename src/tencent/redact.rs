//! Cuts known secrets out of text that came from outside. Needs the secrets; must not show them itself, not even in
//! `Debug`.

use std::collections::HashSet;
use std::fmt;

use zeroize::Zeroizing;

/// What stands in the place of a secret.
const MARK: &str = "[redacted]";

/// Length in bytes from which a *piece* of a secret is cut out as well: a cloud that quotes a value may cut it short.
/// Shorter pieces say little, and would make holes in ordinary words.
const PIECE: usize = 12;

/// Shortest line of a script that is a secret by itself, in bytes: the shortest password the cloud takes.
const SHORTEST_LINE: usize = 8;

/// The secrets of one call.
#[derive(Default)]
pub(super) struct Redactor {
    secrets: Vec<Zeroizing<String>>,
}

impl Redactor {
    /// Adds a secret, also in the forms in which a message may quote it: without control characters and as the
    /// inside of a JSON string.
    pub(super) fn add(&mut self, secret: &str) {
        let plain: String = secret.chars().filter(|c| !c.is_control()).collect();
        let quoted = serde_json::to_string(secret).unwrap_or_default();
        let quoted = quoted.trim_matches('"').to_owned();
        for form in [secret.to_owned(), plain, quoted] {
            let form = Zeroizing::new(form);
            if !form.is_empty() && !self.secrets.contains(&form) {
                self.secrets.push(form);
            }
        }
    }

    /// Adds a script: as a whole, and each line that is long enough to be a secret.
    pub(super) fn add_script(&mut self, script: &str) {
        self.add(script);
        for line in script.lines().map(str::trim) {
            if line.len() >= SHORTEST_LINE {
                self.add(line);
            }
        }
    }

    /// The text with [`MARK`] for each secret and each piece of one of at least [`PIECE`] bytes.
    pub(super) fn redact(&self, text: &str) -> String {
        let mut hidden = vec![false; text.len()];
        for secret in &self.secrets {
            hide(&mut hidden, text.as_bytes(), secret.as_bytes());
        }
        let mut kept = String::with_capacity(text.len());
        let mut cutting = false;
        for (at, character) in text.char_indices() {
            let end = at + character.len_utf8();
            let cut = hidden.get(at..end).is_some_and(|bytes| bytes.contains(&true));
            if !cut {
                kept.push(character);
            } else if !cutting {
                kept.push_str(MARK);
            }
            cutting = cut;
        }
        kept
    }
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redactor").finish_non_exhaustive()
    }
}

/// Marks every place of `text` that holds the secret or, for a long one, any piece of it.
fn hide(hidden: &mut [bool], text: &[u8], secret: &[u8]) {
    let width = secret.len().min(PIECE);
    let pieces: HashSet<&[u8]> = secret.windows(width).collect();
    for (at, window) in text.windows(width).enumerate() {
        if pieces.contains(window)
            && let Some(place) = hidden.get_mut(at..at + width)
        {
            place.fill(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_cut_in_every_form() {
        let mut redactor = Redactor::default();
        redactor.add("PAI@Test\"123");
        redactor.add_script("#!/bin/sh\nexport PASSWORD=hunter2\nx=\"hünter3\"\nls\n");
        let rows = [
            ("nothing to see", "nothing to see"),
            ("PAI@Test\"123", "[redacted]"),
            ("got 'PAI@Test\"123'!", "got '[redacted]'!"),
            ("PAI@Test\"123PAI@Test\"123", "[redacted]"),
            (r#"{"Password":"PAI@Test\"123"}"#, r#"{"Password":"[redacted]"}"#),
            ("line PASSWORD=hunter2 is bad", "line[redacted] is bad"),
            (r#"bad: x="hünter3""#, "bad: [redacted]"),
            (r#"x=\"hünter3\""#, "[redacted]"),
            ("#!/bin/sh\\nexport PASSWORD", "[redacted]"),
            ("#!/bin/shexport PASSWORD", "[redacted]"),
            ("ls", "ls"),
        ];
        for (text, expected) in rows {
            assert_eq!(redactor.redact(text), expected, "{text}");
        }
    }

    #[test]
    fn an_empty_secret_hides_nothing() {
        let mut redactor = Redactor::default();
        redactor.add("");
        redactor.add_script("\n\n");
        assert_eq!(redactor.redact("text"), "text");
    }

    #[test]
    fn debug_shows_no_secret() {
        let mut redactor = Redactor::default();
        redactor.add("hush-hush");
        assert!(!format!("{redactor:?}").contains("hush"));
    }
}
