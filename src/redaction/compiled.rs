//! Rules as a tree of steps, so that a document is walked once whatever the number of rules.

use std::collections::BTreeMap;

use super::mode::Mode;
use super::path::{JsonPath, Segment};

/// The rules that hold for one kind of document, ready for [`super::Engine::apply`].
#[derive(Clone, Debug, Default)]
pub struct Compiled {
    root: Node,
    len: usize,
    is_keyed: bool,
}

/// What rules say about a value.
pub(super) enum At<'n> {
    /// Nothing.
    Untouched,
    /// Something that it is part of is masked as a whole.
    Covered,
    /// What this step says.
    Node(&'n Node),
}

/// One step of the tree: the rule that ends here, and the ways on.
#[derive(Clone, Debug, Default)]
pub(super) struct Node {
    rule: Option<Ending>,
    pub(super) keys: BTreeMap<String, Node>,
    each: Option<Box<Node>>,
    indexes: BTreeMap<usize, Node>,
}

/// A rule at the end of its path.
#[derive(Clone, Debug)]
pub(super) struct Ending {
    /// Its place among all rules: of two that match, the later one wins.
    rank: usize,
    pub(super) mode: Mode,
    /// What an encrypted value is bound to.
    pub(super) place: String,
}

impl Compiled {
    /// Rules in order: of those that match a value the last one wins.
    pub fn new<'r>(rules: impl IntoIterator<Item = (&'r JsonPath, &'r Mode)>) -> Self {
        Self::at("", rules)
    }

    /// The same for documents that stand somewhere: in a JSON column, `at` is table and column, `Order.payload`. What is
    /// encrypted there opens only there.
    pub fn at<'r>(at: &str, rules: impl IntoIterator<Item = (&'r JsonPath, &'r Mode)>) -> Self {
        let mut compiled = Self::default();
        for (path, mode) in rules {
            compiled.add(at, path, mode);
        }
        compiled.is_keyed = compiled.root.any(&|ending| ending.mode.is_keyed());
        compiled
    }

    fn add(&mut self, at: &str, path: &JsonPath, mode: &Mode) {
        let mut node = &mut self.root;
        for segment in path {
            node = match segment {
                Segment::Key(key) => node.keys.entry(key.clone()).or_default(),
                Segment::Index(index) => node.indexes.entry(*index).or_default(),
                Segment::Each => node.each.get_or_insert_default(),
            };
        }
        node.rule = Some(Ending { rank: self.len, mode: mode.clone(), place: path.place(at) });
        self.len += 1;
    }

    /// Whether there is no rule: applying it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether any rule takes a key of the keyring.
    pub fn is_keyed(&self) -> bool {
        self.is_keyed
    }

    /// What the rules say about the value at these keys.
    pub(super) fn at_keys(&self, keys: &[&str]) -> At<'_> {
        let mut node = &self.root;
        for key in keys {
            if node.rule.is_some() {
                return At::Covered;
            }
            let Some(next) = node.keys.get(*key) else { return At::Untouched };
            node = next;
        }
        At::Node(node)
    }

    pub(super) fn root(&self) -> &Node {
        &self.root
    }
}

impl Node {
    fn any(&self, test: &impl Fn(&Ending) -> bool) -> bool {
        self.rule.as_ref().is_some_and(test)
            || self.keys.values().chain(self.each.as_deref()).chain(self.indexes.values()).any(|node| node.any(test))
    }

    /// The ways on to an element of a list.
    fn elements(&self, index: usize) -> impl Iterator<Item = &Node> {
        self.each.as_deref().into_iter().chain(self.indexes.get(&index))
    }

    fn goes_into_lists(&self) -> bool {
        self.each.is_some() || !self.indexes.is_empty()
    }
}

/// The rule that wins where these ways meet.
pub(super) fn ending<'n>(nodes: &[&'n Node]) -> Option<&'n Ending> {
    nodes.iter().filter_map(|node| node.rule.as_ref()).max_by_key(|ending| ending.rank)
}

/// The ways on by key, each with all nodes that it leads to.
pub(super) fn by_key<'n>(nodes: &[&'n Node]) -> BTreeMap<&'n str, Vec<&'n Node>> {
    let mut ways: BTreeMap<&str, Vec<&Node>> = BTreeMap::new();
    for (key, node) in nodes.iter().flat_map(|node| &node.keys) {
        ways.entry(key).or_default().push(node);
    }
    ways
}

/// The ways on to an element of a list; none at all when no rule goes into lists here.
pub(super) fn by_index<'n>(nodes: &[&'n Node]) -> Option<impl Fn(usize) -> Vec<&'n Node>> {
    let nodes: Vec<&Node> = nodes.iter().copied().filter(|node| node.goes_into_lists()).collect();
    (!nodes.is_empty()).then_some(move |index| nodes.iter().flat_map(|node| node.elements(index)).collect())
}
