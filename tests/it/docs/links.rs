//! Links between documents, and into the code.

use super::text::{self, Document};

/// Targets of `[text](target)`, outside code.
fn targets(prose: &str) -> Vec<String> {
    let without_code: String = prose.split("\n\n").flat_map(|part| part.split('`').step_by(2)).collect();
    without_code.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0.to_owned())).collect()
}

/// What a heading is called in a link.
fn anchors(document: &Document) -> Vec<String> {
    let headings = document.prose.lines().filter(|line| line.starts_with('#'));
    headings
        .map(|heading| {
            let heading = heading.trim_start_matches('#').trim().to_lowercase();
            let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        })
        .collect()
}

#[test]
fn every_link_leads_to_a_file_and_a_heading_that_exist() {
    let mut broken = Vec::new();
    let mut followed = 0;
    for document in text::all() {
        let folder = text::root().join(&document.name).parent().unwrap().to_owned();
        for target in targets(&document.prose) {
            if target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            followed += 1;
            let (path, anchor) = target.split_once('#').unwrap_or((&target, ""));
            let file = if path.is_empty() { text::root().join(&document.name) } else { folder.join(path) };
            if !file.exists() {
                broken.push(format!("{}: {target}", document.name));
            } else if !anchor.is_empty() {
                let file = file.canonicalize().unwrap();
                let name =
                    file.strip_prefix(text::root().canonicalize().unwrap()).unwrap().to_str().unwrap().to_owned();
                if !anchors(&Document::read(&name)).iter().any(|known| known == anchor) {
                    broken.push(format!("{}: {target} (no such heading)", document.name));
                }
            }
        }
    }
    assert!(followed > 20, "links are looked for in the wrong way");
    assert!(broken.is_empty(), "{broken:#?}");
}
