//! Commands of the documents, taken apart as a shell would: enough of it to see what a command names, and nothing is run.

use crate::parts;

/// The commands of a text's blocks: what follows `$ ` in ```console, every line in ```sh, with lines that go on joined.
pub fn commands(text: &str) -> Vec<String> {
    let mut all = Vec::new();
    for (_, language, block) in parts(text).filter(|(fenced, _, _)| *fenced) {
        let prompt = match language {
            "console" => "$ ",
            "sh" => "",
            _ => continue,
        };
        let block = block.replace("\\\n", " ");
        let lines = block.lines().map(str::trim_start).filter_map(|line| line.strip_prefix(prompt));
        all.extend(lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned));
    }
    all
}

/// The `code` in a text's prose.
pub fn spans(text: &str) -> Vec<&str> {
    let prose = parts(text).filter(|(fenced, _, _)| !fenced);
    prose.flat_map(|(_, _, part)| part.split('`').skip(1).step_by(2)).collect()
}

/// The simple commands of a line, each as its words: cut at `|`, `;`, `&` and at the bounds of `$(...)`, up to a comment.
pub fn simple(line: &str) -> Vec<Vec<String>> {
    let (mut all, mut words, mut word, mut quote) = (Vec::new(), Vec::new(), None::<String>, None);
    let mut rest = line.chars().peekable();
    while let Some(one) = rest.next() {
        match (quote, one) {
            (Some(mark), _) if one == mark => quote = None,
            (None, '\'' | '"') => {
                quote = Some(one);
                word.get_or_insert_default();
            }
            (None, '|' | ';' | '&' | '(' | ')') => {
                words.extend(word.take());
                all.push(std::mem::take(&mut words));
            }
            (None, '#') if word.is_none() => break,
            (None, '$') if rest.peek() == Some(&'(') => {}
            (None, _) if one.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(one),
        }
    }
    words.extend(word);
    all.push(words);
    for words in &mut all {
        // `NAME=value command`
        let assigned = |word: &String| word.split_once('=').is_some_and(|(name, _)| is_variable(name));
        let first = words.iter().position(|word| !assigned(word)).unwrap_or(words.len());
        words.drain(..first);
    }
    all.retain(|words| !words.is_empty());
    all
}

fn is_variable(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|one| one.is_ascii_uppercase() || one.is_ascii_digit() || one == '_')
}

/// The values of an option that may be given several times, as `--option value`, `--option=value` or `-o value`.
pub fn values<'a>(words: &'a [String], options: &[&str]) -> Vec<&'a str> {
    let mut found = Vec::new();
    for (at, word) in words.iter().enumerate() {
        for option in options {
            if word == option {
                found.extend(words.get(at + 1).map(String::as_str));
            } else if let Some(value) = word.strip_prefix(option).and_then(|rest| rest.strip_prefix('=')) {
                found.push(value);
            }
        }
    }
    found
}

#[test]
fn a_line_is_taken_apart_as_a_shell_would() {
    let rows: &[(&str, &[&[&str]])] = &[
        ("make up  # a comment", &[&["make", "up"]]),
        ("A=1 B='x y' make up && helm list", &[&["make", "up"], &["helm", "list"]]),
        ("sed 's/a b$/c/' f | kubectl apply -f -", &[&["sed", "s/a b$/c/", "f"], &["kubectl", "apply", "-f", "-"]]),
        ("kubectl annotate a=$(date +%s)", &[&["kubectl", "annotate", "a="], &["date", "+%s"]]),
        ("kubectl get -o jsonpath='{.a}{\"\\n\"}'", &[&["kubectl", "get", "-o", "jsonpath={.a}{\"\\n\"}"]]),
    ];
    for (line, expected) in rows {
        assert_eq!(&simple(line), expected, "{line}");
    }
    let text =
        "a\n```sh\n# no\nhelm a \\\n  b\n```\n```console\n$ make up\nprinted\n```\n```yaml\nc: d\n```\n`x` and `y z`\n";
    assert_eq!(commands(text), ["helm a    b", "make up"]);
    assert_eq!(spans(text), ["x", "y z"]);
    let words: Vec<String> = ["-f", "a", "--set=b", "--set", "c"].map(str::to_owned).into();
    assert_eq!(values(&words, &["--set", "-f"]), ["a", "b", "c"]);
}
