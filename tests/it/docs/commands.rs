//! Commands that documents and help texts show.

use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser as _};
use efface::cli::Cli;

use super::text;

/// The command of a shown line without what surrounds it: prompt, variables in front, comment, pipe and redirection.
/// None when it is no command of ours.
fn ours(line: &str) -> Option<Vec<String>> {
    let words = words(line.trim().trim_start_matches("$ "));
    let begin = words.iter().position(|word| !is_assignment(word))?;
    let words = &words[begin..];
    let is = |start: &[&str]| words.len() >= start.len() && words.iter().zip(start).all(|(word, start)| word == start);
    let arguments = if is(&["cargo", "run", "--release", "--"]) {
        &words[4..]
    } else if is(&["cargo", "run", "--release", "--locked", "--"]) {
        &words[5..]
    } else if words.first().is_some_and(|word| word == "efface" || word.ends_with("/efface")) {
        &words[1..]
    } else {
        return None;
    };
    Some(std::iter::once("efface".to_owned()).chain(arguments.iter().cloned()).collect())
}

fn is_assignment(word: &str) -> bool {
    word == "export"
        || word.split_once('=').is_some_and(|(name, _)| {
            !name.is_empty() && name.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
        })
}

/// Words as a shell parts them, up to the end of the command.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in line.chars() {
        match (quote, c) {
            (Some(open), _) if c == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, '|' | '>' | '<' | ';' | '&') => break,
            (None, '#') if word.is_none() => break,
            (None, _) if c.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// Lines with those joined that end in a backslash, and with `a && b` taken apart.
fn lines(code: &str) -> Vec<String> {
    let joined = code.replace("\\\n", " ");
    joined.lines().flat_map(|line| line.split("&&")).map(str::to_owned).collect()
}

#[test]
fn every_command_in_a_block_of_code_parses() {
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for document in text::all() {
        for block in document.blocks.iter().filter(|block| block.language != "toml") {
            for command in lines(&block.code).iter().filter_map(|line| ours(line)) {
                seen += 1;
                if let Err(error) = Cli::try_parse_from(&command)
                    && error.kind() != ErrorKind::DisplayHelp
                {
                    wrong.push(format!("{}: {}\n{error}", document.name, command.join(" ")));
                }
            }
        }
    }
    assert!(seen > 10, "commands are looked for in the wrong way");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_command_named_in_prose_exists() {
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for document in text::all() {
        let named = document.inline_code();
        for command in named.iter().filter(|code| !code.contains('…')).filter_map(|code| ours(code)) {
            seen += 1;
            // A command may be named without what it needs.
            let short = [
                ErrorKind::DisplayHelp,
                ErrorKind::MissingRequiredArgument,
                ErrorKind::MissingSubcommand,
                ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand,
            ];
            if let Err(error) = Cli::try_parse_from(&command)
                && !short.contains(&error.kind())
            {
                wrong.push(format!("{}: {}\n{error}", document.name, command.join(" ")));
            }
        }
    }
    assert!(seen > 5, "commands are looked for in the wrong way");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_example_in_a_help_text_parses() {
    fn walk(command: &clap::Command, seen: &mut usize) {
        let examples = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        for line in examples.lines() {
            assert!(line.chars().count() <= 80, "too wide for a narrow terminal: {line}");
        }
        // What an example does stands after it, two spaces away at least.
        let examples = examples.replace("\\\n      ", "");
        for line in examples.lines().filter(|line| line.starts_with("  ")) {
            let shown = line.trim().split("  ").next().unwrap_or_default();
            if let Some(words) = ours(shown) {
                *seen += 1;
                Cli::try_parse_from(&words).unwrap_or_else(|error| panic!("{shown}\n{error}"));
            }
        }
        command.get_subcommands().for_each(|command| walk(command, seen));
    }
    let mut seen = 0;
    walk(&Cli::command(), &mut seen);
    assert!(seen > 15, "examples are looked for in the wrong way: {seen}");
}

#[test]
fn every_command_explains_itself() {
    fn walk(path: &mut Vec<String>, command: &clap::Command) {
        for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
            path.push(sub.get_name().to_owned());
            let asked = path.iter().map(String::as_str).chain(["--help"]);
            let error = Cli::try_parse_from(std::iter::once("efface").chain(asked)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::DisplayHelp, "{path:?}");
            walk(path, sub);
            path.pop();
        }
    }
    walk(&mut Vec::new(), &Cli::command());
}
