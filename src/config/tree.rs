//! YAML text to a tree of nodes with byte spans.
//!
//! Nodes live in one arena, so an alias is a second reference to the same node and dropping a tree
//! never recurses. What a file may cost is bounded before it is decoded: depth, and how many nodes
//! its aliases and merges stand for.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Tag};

use super::diagnostic::{Diagnostic, Report, shorten};
use super::source::{SourceFile, Span};

/// How deep collections may be nested; decoding recurses this deep.
const MAX_DEPTH: usize = 64;

/// How many nodes aliases and merges may stand for in one file; above it the file is a bomb.
const MAX_ALIASED: u64 = 4_000_000;

/// A node of a tree.
pub(crate) type NodeId = u32;

/// One YAML document.
#[derive(Debug)]
pub(crate) struct Tree<'s> {
    nodes: Vec<Node<'s>>,
    root: NodeId,
    /// The tags of its own that another tool's file may have.
    tags: HashMap<NodeId, &'static str>,
}

/// A node and its place.
#[derive(Debug)]
pub(crate) struct Node<'s> {
    pub(crate) span: Span,
    pub(crate) value: Value<'s>,
}

/// What a node is.
#[derive(Debug)]
pub(crate) enum Value<'s> {
    /// A scalar as its source says it, and whether it is plain: without quotes and not a block.
    Scalar { text: Cow<'s, str>, plain: bool },
    /// A list.
    List(Box<[NodeId]>),
    /// A map, in the order of the file, with merges put in and without duplicate keys; every key is
    /// a scalar.
    Map(Box<[(NodeId, NodeId)]>),
}

impl<'s> Tree<'s> {
    /// Parses a file. `None` means that it could not be parsed to its end; what is wrong is in the
    /// report either way.
    pub(crate) fn parse(file: u32, source: &'s SourceFile, report: &Report) -> Option<Self> {
        Builder::new(file, source, report, &[]).build()
    }

    /// As [`Tree::parse`], of another tool's file, in which `tags` mean something.
    pub(crate) fn parse_tagged(
        file: u32,
        source: &'s SourceFile,
        report: &Report,
        tags: &'static [&'static str],
    ) -> Option<Self> {
        Builder::new(file, source, report, tags).build()
    }

    /// The tag of a node, of those that were let through.
    pub(crate) fn tag(&self, id: NodeId) -> Option<&'static str> {
        self.tags.get(&id).copied()
    }

    pub(crate) fn root(&self) -> NodeId {
        self.root
    }

    pub(crate) fn node(&self, id: NodeId) -> &Node<'s> {
        &self.nodes[id as usize]
    }

    /// The text of a scalar.
    pub(crate) fn text(&self, id: NodeId) -> Option<&str> {
        match &self.node(id).value {
            Value::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// Whether a node is nothing: an empty value, `~` or `null`.
    pub(crate) fn is_null(&self, id: NodeId) -> bool {
        match &self.node(id).value {
            Value::Scalar { text, plain: true } => matches!(&**text, "" | "~" | "null" | "Null" | "NULL"),
            _ => false,
        }
    }

    /// The value of a key of a map.
    pub(crate) fn get(&self, map: NodeId, key: &str) -> Option<NodeId> {
        match &self.node(map).value {
            Value::Map(entries) => entries.iter().find(|(k, _)| self.text(*k) == Some(key)).map(|(_, value)| *value),
            _ => None,
        }
    }
}

/// Translates the parser's character offsets into bytes.
struct Offsets<'s> {
    text: &'s str,
    /// The byte of every 64th character; `None` where all characters are single bytes.
    table: Option<Vec<u32>>,
}

const STRIDE: usize = 64;

impl<'s> Offsets<'s> {
    fn new(text: &'s str) -> Self {
        let table = (!text.is_ascii()).then(|| {
            let offsets =
                text.char_indices().step_by(STRIDE).map(|(offset, _)| u32::try_from(offset).unwrap_or(u32::MAX));
            offsets.collect()
        });
        Self { text, table }
    }

    fn byte(&self, character: usize) -> usize {
        let Some(table) = &self.table else { return character.min(self.text.len()) };
        let Some(base) = table.get(character / STRIDE) else { return self.text.len() };
        let base = *base as usize;
        self.text[base..].char_indices().nth(character % STRIDE).map_or(self.text.len(), |(offset, _)| base + offset)
    }
}

/// A collection whose end was not reached yet.
struct Open {
    start: usize,
    anchor: usize,
    is_map: bool,
    tag: Option<&'static str>,
    /// Where its children start in the stack of finished nodes.
    base: usize,
    size: Size,
}

/// What decoding a node costs, aliases followed.
#[derive(Debug, Clone, Copy)]
struct Size {
    nodes: u64,
    depth: usize,
}

const LEAF: Size = Size { nodes: 1, depth: 0 };

struct Builder<'s, 'r> {
    file: u32,
    text: &'s str,
    report: &'r Report,
    offsets: Offsets<'s>,
    nodes: Vec<Node<'s>>,
    open: Vec<Open>,
    finished: Vec<NodeId>,
    anchors: HashMap<usize, (NodeId, Size)>,
    aliased: u64,
    root: Option<NodeId>,
    known_tags: &'static [&'static str],
    tags: HashMap<NodeId, &'static str>,
}

impl<'s, 'r> Builder<'s, 'r> {
    fn new(file: u32, source: &'s SourceFile, report: &'r Report, known_tags: &'static [&'static str]) -> Self {
        let text = source.text();
        Self {
            known_tags,
            tags: HashMap::new(),
            file,
            text,
            report,
            offsets: Offsets::new(text),
            nodes: Vec::with_capacity(text.len() / 12),
            open: Vec::new(),
            finished: Vec::new(),
            anchors: HashMap::new(),
            aliased: 0,
            root: None,
        }
    }

    fn build(mut self) -> Option<Tree<'s>> {
        let mut parser = Parser::new_from_str(self.text);
        while let Some(next) = parser.next_event() {
            let (event, span) = match next {
                Ok(next) => next,
                Err(error) => return self.syntax(&error),
            };
            let (start, end) = (self.offsets.byte(span.start.index()), self.offsets.byte(span.end.index()));
            match event {
                Event::DocumentStart(_) if self.root.is_some() => {
                    let message = "a second document starts here";
                    let problem = Diagnostic::error("config::several_documents", message).at(self.span(start, end));
                    return self.refuse(problem.help("keep one document in a file; several files are given with `-f`"));
                }
                Event::Scalar(text, style, anchor, tag) => {
                    let known = self.known_tag(tag.as_deref());
                    let tag = tag.as_deref().filter(|_| known.is_none());
                    let id = self.scalar(text, style, tag, start, end);
                    self.tags.extend(known.map(|known| (id, known)));
                    self.finish(id, LEAF, anchor);
                }
                Event::Alias(anchor) => self.alias(anchor, start, end)?,
                Event::SequenceStart(anchor, tag) => self.start(anchor, tag.as_deref(), false, start, end)?,
                Event::MappingStart(anchor, tag) => self.start(anchor, tag.as_deref(), true, start, end)?,
                Event::SequenceEnd | Event::MappingEnd => self.end(end)?,
                Event::Nothing
                | Event::StreamStart
                | Event::StreamEnd
                | Event::DocumentStart(_)
                | Event::DocumentEnd => {}
            }
        }
        let root = self
            .root
            .filter(|root| !matches!(&self.nodes[*root as usize].value, Value::Scalar { text, .. } if text.is_empty()));
        let Some(root) = root else {
            let problem = Diagnostic::error("config::empty", "the file is empty").at(self.span(0, 0));
            return self.refuse(problem.help("`orch init` writes one to start from"));
        };
        Some(Tree { nodes: self.nodes, root, tags: self.tags })
    }

    fn span(&self, start: usize, end: usize) -> Span {
        let number = |offset| u32::try_from(offset).unwrap_or(u32::MAX);
        Span { file: self.file, start: number(start), end: number(end.max(start)) }
    }

    fn refuse<T>(&self, problem: Diagnostic) -> Option<T> {
        self.report.push(problem);
        None
    }

    fn syntax<T>(&self, error: &ScanError) -> Option<T> {
        let at = self.offsets.byte(error.marker().index());
        // The scanner reads ahead of the events and has a limit of its own for `[` and `{`.
        if error.info().contains("recursion limit") {
            return self.refuse(self.too_deep(self.span(at, at)));
        }
        let line_start = self.text[..at].rfind('\n').map_or(0, |at| at + 1);
        let line = self.text[line_start..].lines().next().unwrap_or_default();
        let indent = line.len() - line.trim_start_matches([' ', '\t']).len();
        if let Some(tab) = line[..indent].find('\t') {
            let span = self.span(line_start + tab, line_start + indent);
            let problem = Diagnostic::error("config::tab", "a tab is used to indent").at(span);
            return self.refuse(problem.help("YAML is indented with spaces"));
        }
        let end = self.text[at..].chars().next().filter(|c| *c != '\n').map_or(at, |c| at + c.len_utf8());
        let message = format!("this is not YAML: {}", shorten(error.info()));
        self.refuse(
            Diagnostic::error("config::syntax", message)
                .at(self.span(at, end))
                .help("check the indentation, the quotes and the brackets here and on the lines above"),
        )
    }

    fn add(&mut self, span: Span, value: Value<'s>) -> NodeId {
        self.nodes.push(Node { span, value });
        // A file of 32 MiB has fewer nodes than that.
        u32::try_from(self.nodes.len() - 1).unwrap_or(u32::MAX)
    }

    fn scalar(
        &mut self,
        text: Cow<'s, str>,
        style: ScalarStyle,
        tag: Option<&Tag>,
        start: usize,
        end: usize,
    ) -> NodeId {
        let whole: &'s str = self.text.get(start..end).unwrap_or_default();
        let end = start + whole.trim_end().len();
        let (source, plain): (&'s str, bool) = match style {
            ScalarStyle::Plain => (&self.text[start..end], true),
            _ => (self.text.get(start + 1..end.saturating_sub(1)).unwrap_or_default(), false),
        };
        // The parser copies; what stands in the source as it is is borrowed from there instead.
        let text = if source == text { Cow::Borrowed(source) } else { Cow::Owned(text.into_owned()) };
        let span = self.span(start, end);
        let forced = self.check_tag(tag, span, &["str", "int", "float", "bool", "null"]) == Some("str");
        self.add(span, Value::Scalar { text, plain: plain && !forced })
    }

    fn check_tag<'t>(&self, tag: Option<&'t Tag>, span: Span, known: &[&str]) -> Option<&'t str> {
        let tag = tag?;
        if tag.is_yaml_core_schema() && known.contains(&tag.suffix.as_str()) {
            return Some(&tag.suffix);
        }
        let name = if tag.is_yaml_core_schema() { format!("!!{}", tag.suffix) } else { tag.to_string() };
        let message = format!("the tag `{}` means nothing here", shorten(&name));
        self.report.push(Diagnostic::error("config::unknown_tag", message).at(span).help("take the tag away"));
        None
    }

    /// A tag that another tool's file may have.
    fn known_tag(&self, tag: Option<&Tag>) -> Option<&'static str> {
        let tag = tag.filter(|_| !self.known_tags.is_empty())?.to_string();
        self.known_tags.iter().find(|known| **known == tag).copied()
    }

    fn too_deep(&self, span: Span) -> Diagnostic {
        let message = format!("lists and maps are nested more than {MAX_DEPTH} deep here");
        Diagnostic::error("config::too_deep", message).at(span).help("no part of the file needs more than ten levels")
    }

    fn start(&mut self, anchor: usize, tag: Option<&Tag>, is_map: bool, start: usize, end: usize) -> Option<()> {
        let span = self.span(start, end);
        if self.open.len() >= MAX_DEPTH {
            return self.refuse(self.too_deep(span));
        }
        let known = self.known_tag(tag);
        self.check_tag(tag.filter(|_| known.is_none()), span, if is_map { &["map"] } else { &["seq"] });
        self.open.push(Open { start, anchor, is_map, tag: known, base: self.finished.len(), size: LEAF });
        Some(())
    }

    fn alias(&mut self, anchor: usize, start: usize, end: usize) -> Option<()> {
        let span = self.span(start, end);
        let Some((id, size)) = self.anchors.get(&anchor).copied() else {
            let message = "this alias stands inside the very value that it refers to";
            return self.refuse(Diagnostic::error("config::alias", message).at(span));
        };
        if self.open.len() + size.depth > MAX_DEPTH {
            return self.refuse(self.too_deep(span));
        }
        self.expand(size.nodes, span)?;
        self.finish(id, size, 0);
        Some(())
    }

    /// Counts what an alias or a merge stands for.
    fn expand(&mut self, nodes: u64, span: Span) -> Option<()> {
        self.aliased = self.aliased.saturating_add(nodes);
        if self.aliased <= MAX_ALIASED {
            return Some(());
        }
        let message = format!("the aliases of this file stand for more than {MAX_ALIASED} values");
        self.refuse(
            Diagnostic::error("config::bomb", message).at(span).help("write out what differs, or split the file"),
        )
    }

    /// Puts a finished node where it belongs.
    fn finish(&mut self, id: NodeId, size: Size, anchor: usize) {
        if anchor != 0 {
            self.anchors.insert(anchor, (id, size));
        }
        match self.open.last_mut() {
            Some(parent) => {
                parent.size.nodes = parent.size.nodes.saturating_add(size.nodes);
                parent.size.depth = parent.size.depth.max(size.depth + 1);
                self.finished.push(id);
            }
            None => self.root = Some(id),
        }
    }

    fn end(&mut self, end: usize) -> Option<()> {
        let open = self.open.pop()?;
        let children: Vec<NodeId> = self.finished.drain(open.base..).collect();
        // A block ends where the next token starts, and that is not a part of it.
        let end = self.text.get(open.start..end).map_or(end, |text| open.start + text.trim_end().len());
        let span = self.span(open.start, end);
        let mut size = open.size;
        let value = if open.is_map {
            let pairs = children.chunks_exact(2).map(|pair| (pair[0], pair[1]));
            Value::Map(self.entries(pairs, &mut size)?)
        } else {
            Value::List(children.into())
        };
        let id = self.add(span, value);
        self.tags.extend(open.tag.map(|tag| (id, tag)));
        self.finish(id, size, open.anchor);
        Some(())
    }

    /// The entries of a map: its own, then what it merges in and does not have.
    fn entries(
        &mut self,
        pairs: impl Iterator<Item = (NodeId, NodeId)>,
        size: &mut Size,
    ) -> Option<Box<[(NodeId, NodeId)]>> {
        let mut entries = Vec::new();
        let mut merges = Vec::new();
        for (key, value) in pairs {
            match &self.nodes[key as usize].value {
                Value::Scalar { text, plain: true } if text == "<<" => merges.push(value),
                Value::Scalar { .. } => entries.push((key, value)),
                _ => {
                    let problem = Diagnostic::error("config::bad_key", "a key is a text, not a list or a map");
                    let problem = problem.at(self.nodes[key as usize].span);
                    self.report.push(problem.help("put a value that holds `{`, `[` or `${` in quotes"));
                }
            }
        }
        self.drop_duplicates(&mut entries);
        if !merges.is_empty() {
            self.merge(&merges, &mut entries, size)?;
        }
        Some(entries.into())
    }

    fn key_text(&self, key: NodeId) -> &str {
        match &self.nodes[key as usize].value {
            Value::Scalar { text, .. } => text,
            _ => "",
        }
    }

    fn drop_duplicates(&self, entries: &mut Vec<(NodeId, NodeId)>) {
        let mut seen: HashMap<&str, NodeId> = HashMap::with_capacity(entries.len());
        entries.retain(|(key, _)| {
            let text = self.key_text(*key);
            let Some(first) = seen.get(text) else {
                seen.insert(text, *key);
                return true;
            };
            let span = |id: NodeId| self.nodes[id as usize].span;
            self.report.push(
                Diagnostic::error("config::duplicate_key", format!("the key `{}` stands here twice", shorten(text)))
                    .label(span(*key), "again")
                    .label(span(*first), "first")
                    .help("keep one of the two"),
            );
            false
        });
    }

    /// Merges maps, or each map of a list, into the entries of another; the first of a name counts.
    fn merge(&mut self, merges: &[NodeId], entries: &mut Vec<(NodeId, NodeId)>, size: &mut Size) -> Option<()> {
        let maps = merges.iter().flat_map(|from| match &self.nodes[*from as usize].value {
            Value::List(items) => items,
            _ => std::slice::from_ref(from),
        });
        let mut present: HashSet<&str> = entries.iter().map(|(key, _)| self.key_text(*key)).collect();
        let mut new: Vec<(NodeId, NodeId)> = Vec::new();
        for map in maps {
            let node = &self.nodes[*map as usize];
            let Value::Map(merged) = &node.value else {
                let message = "only a map, or a list of maps, can be merged";
                let problem = Diagnostic::error("config::merge", message).at(node.span);
                self.report.push(problem.help("write `<<: *name` where `&name` stands before a map"));
                continue;
            };
            new.extend(merged.iter().filter(|(key, _)| present.insert(self.key_text(*key))));
        }
        drop(present);
        // What stands below the entries was counted with the alias that leads to the map.
        let added = new.len() as u64;
        entries.extend(new);
        size.nodes = size.nodes.saturating_add(added);
        self.expand(added, self.nodes[merges[0] as usize].span)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::source::Sources;

    /// The tree as text, or the codes of what is wrong with it.
    fn parse(text: &str) -> Result<String, Vec<&'static str>> {
        let mut sources = Sources::default();
        sources.add("t.yaml".into(), "/t.yaml".into(), text.as_bytes().to_vec()).unwrap();
        let report = Report::default();
        let shown = Tree::parse(0, &sources.files()[0], &report).map(|tree| show(&tree, tree.root(), text));
        let problems = report.into_diagnostics(Sources::default().into());
        let codes: Vec<_> = problems.list().iter().map(|problem| problem.code).collect();
        if codes.is_empty() { Ok(shown.unwrap()) } else { Err(codes) }
    }

    fn show(tree: &Tree<'_>, id: NodeId, source: &str) -> String {
        let node = tree.node(id);
        assert!(source.get(node.span.start as usize..node.span.end as usize).is_some(), "{:?}", node.span);
        match &node.value {
            Value::Scalar { text, plain: true } => text.to_string(),
            Value::Scalar { text, plain: false } => format!("{text:?}"),
            Value::List(items) => {
                format!("[{}]", items.iter().map(|item| show(tree, *item, source)).collect::<Vec<_>>().join(" "))
            }
            Value::Map(entries) => {
                let entry = |(key, value): &(NodeId, NodeId)| {
                    format!("{}:{}", show(tree, *key, source), show(tree, *value, source))
                };
                format!("{{{}}}", entries.iter().map(entry).collect::<Vec<_>>().join(" "))
            }
        }
    }

    #[test]
    fn scalars_stay_as_they_are_written() {
        assert_eq!(
            parse("{a: 8080, b: '8080', c: yes, d: 1.0, e: !!str 7, f: }").unwrap(),
            r#"{a:8080 b:"8080" c:yes d:1.0 e:"7" f:}"#
        );
        assert_eq!(parse("a: |\n  one\n  two\nb: >\n  x\n  y\n").unwrap(), r#"{a:"one\ntwo\n" b:"x y\n"}"#);
    }

    #[test]
    fn spans_are_bytes_also_after_other_characters() {
        let text = format!("{}: ß\nkey: \"wörld\"\n", "ü".repeat(100));
        let mut sources = Sources::default();
        sources.add("t".into(), "/t".into(), text.into_bytes()).unwrap();
        let tree = Tree::parse(0, &sources.files()[0], &Report::default()).unwrap();
        let value = tree.get(tree.root(), "key").unwrap();
        assert_eq!(sources.slice(tree.node(value).span), "\"wörld\"");
    }

    #[test]
    fn anchors_and_merges_work() {
        assert_eq!(
            parse("a: &x {p: 1, q: 2}\nb: {<<: *x, q: 3}\nc: *x\n").unwrap(),
            "{a:{p:1 q:2} b:{q:3 p:1} c:{p:1 q:2}}"
        );
        assert_eq!(
            parse("a: &x {p: 1}\nb: &y {p: 2, r: 4}\nc: {<<: [*x, *y]}").unwrap(),
            "{a:{p:1} b:{p:2 r:4} c:{p:1 r:4}}"
        );
        assert_eq!(parse("a: {<<: 3}"), Err(vec!["config::merge"]));
    }

    #[test]
    fn bad_files_are_refused() {
        for (text, code) in [
            ("", "config::empty"),
            ("# nothing\n", "config::empty"),
            ("---\n", "config::empty"),
            ("a: 1\n---\nb: 2\n", "config::several_documents"),
            ("a:\n\tb: 1\n", "config::tab"),
            ("a: 1\na: 2\n", "config::duplicate_key"),
            ("a: !foo 1\n", "config::unknown_tag"),
            ("[a, b]: 1\n", "config::bad_key"),
            ("a: &x [*x]\n", "config::alias"),
            ("a: *nowhere\n", "config::syntax"),
            ("a: \"open\n", "config::syntax"),
            ("{a: b", "config::syntax"),
        ] {
            assert_eq!(parse(text), Err(vec![code]), "{text:?}");
        }
    }

    #[test]
    fn bombs_and_deep_nesting_are_refused() {
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let alias = format!("*a{}", level - 1);
            bomb.push_str(&format!("a{level}: &a{level} [{}]\n", [alias.as_str(); 10].join(", ")));
        }
        assert_eq!(parse(&bomb), Err(vec!["config::bomb"]));
        assert_eq!(parse(&"[".repeat(1000)), Err(vec!["config::too_deep"]));
        assert_eq!(parse(&"- ".repeat(100_000)), Err(vec!["config::too_deep"]));
        let mut chain = "a0: &a0 [x]\n".to_owned();
        for level in 1..100 {
            chain.push_str(&format!("a{level}: &a{level} [*a{}]\n", level - 1));
        }
        assert_eq!(parse(&chain), Err(vec!["config::too_deep"]));
    }
}
