//! A page taken apart into what a reader types and is shown, and what must have happened before. Pure.
//!
//! A comment `<!-- run` holds lines for the shell that bring about what the next block shows; `<!-- not run: WHY -->` leaves the next block
//! out. Readers see neither.

/// One step of a page, with the number of its line.
#[derive(Debug, PartialEq, Eq)]
pub struct Step {
    pub line: usize,
    pub act: Act,
}

/// What a step is.
#[derive(Debug, PartialEq, Eq)]
pub enum Act {
    /// Brings something about, unseen by the reader.
    Cause(String),
    /// A command, and what the page says that it prints; nothing in a block that shows commands alone.
    Command { text: String, shows: Option<Vec<String>> },
    /// A block that is left out, and why.
    NotRun(String),
}

const CAUSE: &str = "<!-- run";
const NOT_RUN: &str = "<!-- not run:";

/// The steps of a page in the order in which they are read.
pub fn steps(page: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut lines = page.lines().enumerate().map(|(at, line)| (at + 1, line));
    let mut left_out = None;
    while let Some((line, text)) = lines.next() {
        let text = text.trim_start();
        if text == CAUSE {
            let cause: Vec<&str> = lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "-->").collect();
            steps.push(Step { line, act: Act::Cause(cause.join("\n")) });
        } else if let Some(why) = text.strip_prefix(NOT_RUN) {
            left_out = Some(why.trim_end_matches("-->").trim().to_owned());
        } else if let Some(language) = text.strip_prefix("```") {
            let block: Vec<(usize, &str)> = lines.by_ref().take_while(|(_, line)| line.trim_start() != "```").collect();
            match (left_out.take(), language) {
                (Some(why), _) => steps.push(Step { line, act: Act::NotRun(why) }),
                (None, "console") => steps.extend(commands(&block, Some("$ "))),
                (None, "sh") => steps.extend(commands(&block, None)),
                _ => {}
            }
        }
    }
    steps
}

/// The commands of a block: after a prompt with what they print, or one on each line.
fn commands(block: &[(usize, &str)], prompt: Option<&str>) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for (line, text) in block {
        let text = text.trim_end();
        let command = match prompt {
            Some(prompt) => text.trim_start().strip_prefix(prompt),
            None => Some(text.trim_start()).filter(|text| !text.is_empty() && !text.starts_with('#')),
        };
        let last = steps.last_mut().map(|step| &mut step.act);
        match (command, last) {
            (Some(text), _) => {
                let act = Act::Command { text: text.to_owned(), shows: prompt.map(|_| Vec::new()) };
                steps.push(Step { line: *line, act });
            }
            (None, Some(Act::Command { shows: Some(shows), .. })) if !text.is_empty() => shows.push(text.to_owned()),
            _ => {}
        }
    }
    steps
}

#[test]
fn a_page_is_taken_apart() {
    let page = "# T\n<!-- run\nfault x\nobject y\n-->\n```console\n$ a\nb\n\n$ c\n...\n```\n```sh\n# d\ne\n```\n<!-- not run: w -->\n```sh\nf\n```\n```yaml\ng\n```\n";
    let command = |line, text: &str, shows: Option<&[&str]>| Step {
        line,
        act: Act::Command {
            text: text.to_owned(),
            shows: shows.map(|lines| lines.iter().map(ToString::to_string).collect()),
        },
    };
    let expected = [
        Step { line: 2, act: Act::Cause("fault x\nobject y".to_owned()) },
        command(7, "a", Some(&["b"])),
        command(10, "c", Some(&["..."])),
        command(15, "e", None),
        Step { line: 18, act: Act::NotRun("w".to_owned()) },
    ];
    assert_eq!(steps(page), expected);
}
