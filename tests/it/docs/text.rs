//! The documents, and the code in them.

use std::path::{Path, PathBuf};

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub fn read(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Files with an extension in a folder and below it, relative to the root.
pub fn files_under(folder: &str, extension: &str) -> Vec<String> {
    let mut files = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                files.push(path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    files.sort();
    files
}

/// Every document: those at the root and those in `docs/`.
pub fn documents() -> Vec<String> {
    let mut documents = files_under("docs", "md");
    for entry in std::fs::read_dir(root()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if Path::new(&name).extension().is_some_and(|extension| extension == "md") {
            documents.push(name);
        }
    }
    assert!(documents.len() > 10, "{documents:?}");
    documents
}

/// A fenced block of code.
pub struct Block {
    pub language: String,
    pub code: String,
}

/// A document in parts: prose with its inline code, and blocks of code.
pub struct Document {
    pub name: String,
    pub prose: String,
    pub blocks: Vec<Block>,
}

impl Document {
    pub fn read(name: &str) -> Self {
        let (mut prose, mut blocks) = (String::new(), Vec::new());
        let mut open: Option<Block> = None;
        for line in read(name).lines() {
            match (line.trim_start().strip_prefix("```"), open.take()) {
                (Some(_), Some(block)) => blocks.push(block),
                (Some(language), None) => open = Some(Block { language: language.to_owned(), code: String::new() }),
                (None, Some(mut block)) => {
                    block.code.push_str(line);
                    block.code.push('\n');
                    open = Some(block);
                }
                (None, None) => {
                    prose.push_str(line);
                    prose.push('\n');
                }
            }
        }
        assert!(open.is_none(), "{name}: a block of code does not end");
        Self { name: name.to_owned(), prose, blocks }
    }

    /// What stands between single backticks.
    pub fn inline_code(&self) -> Vec<&str> {
        // A paragraph at a time: a stray backtick spoils no more than its own.
        self.prose.split("\n\n").flat_map(|paragraph| paragraph.split('`').skip(1).step_by(2)).collect()
    }
}

pub fn all() -> Vec<Document> {
    documents().iter().map(|name| Document::read(name)).collect()
}
