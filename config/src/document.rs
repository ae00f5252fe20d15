//! A YAML file as a tree whose every node knows its place and its path, with variables already replaced.

use std::cell::Cell;
use std::collections::BTreeMap;

use granit_parser::{Event, Parser, ScalarStyle, ScanError, Span};

use crate::errors::{Fault, Place};
use crate::interpolate::{InterpolationError, interpolate};

/// Values that a file may have: a hundred times what there are. It bounds the work, also that of looking for keys that stand twice.
const MOST_VALUES: usize = 10_000;

/// The file as it was read.
#[derive(Debug)]
pub(crate) struct Document {
    /// The top of the tree; an empty file is an empty section.
    pub(crate) root: Node,
    /// What was found wrong while it was built. The nodes concerned are marked faulty.
    pub(crate) faults: Vec<Fault>,
}

/// A value.
#[derive(Debug)]
pub(crate) struct Node {
    /// The keys that lead here: `limits.body`, `server.trusted_proxies[1]`.
    pub(crate) path: String,
    pub(crate) place: Place,
    pub(crate) shape: Shape,
    /// Whether a fault has been named for it: then it is passed over, and its default stands in.
    pub(crate) faulty: Cell<bool>,
    /// Whether it is never shown. Its type says so, thus it becomes known when it is read.
    pub(crate) secret: Cell<bool>,
}

/// What a value is.
#[derive(Debug)]
pub(crate) enum Shape {
    Scalar(Scalar),
    List(Vec<Node>),
    Section(Vec<Entry>),
}

/// A key and its value.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) place: Place,
    pub(crate) value: Node,
}

/// A single value.
#[derive(Debug)]
pub(crate) struct Scalar {
    pub(crate) text: String,
    pub(crate) written: Written,
}

/// How a scalar came about, which decides what it may be read as.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Written {
    /// Without quotes: a number, a truth value, nothing or a text, as the field needs.
    Plain,
    /// In quotes or as a block: a text.
    Quoted,
    /// From these variables: a number or a text, as the field needs.
    Interpolated(Vec<String>),
}

impl Scalar {
    /// Nothing, `~` or `null`.
    pub(crate) fn is_null(&self) -> bool {
        self.written == Written::Plain && matches!(self.text.as_str(), "" | "~" | "null" | "Null" | "NULL")
    }

    /// A variable that came out empty.
    pub(crate) fn is_empty_variable(&self) -> bool {
        matches!(self.written, Written::Interpolated(_)) && self.text.is_empty()
    }
}

impl Node {
    /// The node at a path below, and those that lead to it.
    fn walk(&self, path: &str) -> Vec<&Self> {
        let mut nodes = vec![self];
        let mut node = self;
        for key in path.split('.') {
            let Shape::Section(entries) = &node.shape else { break };
            let Some(entry) = entries.iter().find(|entry| entry.key == key) else {
                break;
            };
            node = &entry.value;
            nodes.push(node);
        }
        nodes
    }

    /// The node at a path below, where the file has it.
    pub(crate) fn find(&self, path: &str) -> Option<&Self> {
        self.walk(path).pop().filter(|node| node.path == path)
    }

    /// The item of a list that has this text, alone or among others with commas.
    pub(crate) fn item(&self, text: &str) -> Option<&Self> {
        let Shape::List(items) = &self.shape else { return None };
        items.iter().find(|item| match &item.shape {
            Shape::Scalar(scalar) => scalar.text.split(',').any(|part| part.trim() == text),
            _ => false,
        })
    }

    /// Whether a fault has been named for the node at a path or for a section or an item around it.
    pub(crate) fn is_faulty_at(&self, path: &str) -> bool {
        self.walk(path).iter().any(|node| {
            let items = match &node.shape {
                Shape::List(items) => items.as_slice(),
                _ => &[],
            };
            node.faulty.get() || items.iter().any(|item| item.faulty.get())
        })
    }

    /// Paths of all values below that are no sections.
    pub(crate) fn leaves(&self) -> Vec<&str> {
        match &self.shape {
            Shape::Section(entries) => entries.iter().flat_map(|entry| entry.value.leaves()).collect(),
            _ => vec![&self.path],
        }
    }
}

impl Document {
    /// Builds the tree.
    ///
    /// # Errors
    /// The text is no YAML, or has no keys at its top; what is wrong only with single values is named in `faults`.
    pub(crate) fn parse(text: &str, environment: &BTreeMap<String, String>) -> Result<Self, Fault> {
        // A byte-order mark is no part of the text.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let options = granit_parser::options! { emit_comments: false, emit_unresolved_aliases: true };
        let mut builder = Builder {
            text,
            events: Parser::new_from_str_with_options(text, options),
            environment,
            values: 0,
            faults: Vec::new(),
        };
        let root = builder.document()?;
        Ok(Self {
            root,
            faults: builder.faults,
        })
    }
}

struct Builder<'a> {
    text: &'a str,
    events: Parser<'a, granit_parser::StrInput<'a>>,
    environment: &'a BTreeMap<String, String>,
    values: usize,
    faults: Vec<Fault>,
}

impl<'a> Builder<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Span), Fault> {
        match self.events.next() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(syntax(self.text, &error)),
            None => Err(Fault::whole("ends too early; is the file complete?")),
        }
    }

    fn document(&mut self) -> Result<Node, Fault> {
        let mut root = None;
        loop {
            match self.next()? {
                (Event::StreamEnd, _) => break,
                (Event::DocumentStart(..), span) if root.is_some() => {
                    let what = "a second document begins; keep one, without `---` inside";
                    return Err(Fault::at(place(span), "", what));
                }
                (Event::StreamStart | Event::DocumentStart(..) | Event::DocumentEnd, _) => {}
                (event, span) => root = Some(self.node(event, span, String::new())?),
            }
        }
        let mut root = root.unwrap_or_else(|| Node::new(String::new(), Place { line: 1, column: 1 }, empty_section()));
        if matches!(&root.shape, Shape::Scalar(scalar) if scalar.is_null()) {
            root.shape = empty_section();
        }
        if !matches!(root.shape, Shape::Section(_)) {
            let what =
                "the file has no keys at its top; write for example `server:` with `http_port: 8080` indented below it";
            return Err(Fault::at(root.place, "", what));
        }
        Ok(root)
    }

    /// The node that begins with this event.
    fn node(&mut self, event: Event<'a>, span: Span, path: String) -> Result<Node, Fault> {
        let place = place(span);
        self.values += 1;
        if self.values > MOST_VALUES {
            let what = format!(
                "the file has more than {MOST_VALUES} values, so it is no configuration; check --config and CONFIG_PATH"
            );
            return Err(Fault::at(place, "", &what));
        }
        // A text that begins with one of these characters would lose its first word, so they are refused, not passed over.
        let (anchored, tagged) = match &event {
            Event::Scalar(_, _, anchor, tag) => (*anchor != 0, tag.is_some()),
            Event::SequenceStart(_, anchor, tag) | Event::MappingStart(_, anchor, tag) => (*anchor != 0, tag.is_some()),
            _ => (false, false),
        };
        let node = match event {
            Event::Scalar(text, style, ..) => {
                let (scalar, error) = self.scalar(text.into_owned(), style);
                let node = Node::new(path, place, Shape::Scalar(scalar));
                if let Some(error) = error {
                    self.blame(&node, &error.to_string());
                }
                node
            }
            Event::SequenceStart(..) => {
                let mut items = Vec::new();
                loop {
                    match self.next()? {
                        (Event::SequenceEnd, _) => break,
                        (event, span) => items.push(self.node(event, span, format!("{path}[{}]", items.len()))?),
                    }
                }
                Node::new(path, place, Shape::List(items))
            }
            Event::MappingStart(..) => {
                let entries = self.entries(&path)?;
                Node::new(path, place, Shape::Section(entries))
            }
            _ => {
                let node = Node::new(path, place, empty_section());
                self.blame(
                    &node,
                    "aliases (`*name`) are not read here; write the value itself, or put the text in quotes",
                );
                node
            }
        };
        if anchored {
            self.blame(
                &node,
                "anchors (`&name`) are not read here; leave it out, or put the text in quotes",
            );
        }
        if tagged {
            self.blame(
                &node,
                "tags (`!name`) are not read here; leave it out, or put the text in quotes",
            );
        }
        Ok(node)
    }

    fn entries(&mut self, path: &str) -> Result<Vec<Entry>, Fault> {
        let mut entries: Vec<Entry> = Vec::new();
        loop {
            let (key, key_place) = match self.next()? {
                (Event::MappingEnd, _) => return Ok(entries),
                (Event::Scalar(key, ..), span) => (key.into_owned(), place(span)),
                (_, span) => {
                    return Err(Fault::at(
                        place(span),
                        path,
                        "a key must be one word; write `key: value`",
                    ));
                }
            };
            let value_path = if path.is_empty() {
                key.clone()
            } else {
                format!("{path}.{key}")
            };
            let (event, span) = self.next()?;
            let value = self.node(event, span, value_path)?;
            if let Some(first) = entries.iter().find(|entry| entry.key == key) {
                let what = format!("stands twice, first in line {}; keep one of them", first.place.line);
                self.faults.push(Fault::at(key_place, &value.path, &what));
            } else {
                entries.push(Entry {
                    key,
                    place: key_place,
                    value,
                });
            }
        }
    }

    /// The scalar, and what is wrong with its variables.
    fn scalar(&self, text: String, style: ScalarStyle) -> (Scalar, Option<InterpolationError>) {
        let as_written = match style {
            ScalarStyle::Plain => Written::Plain,
            _ => Written::Quoted,
        };
        match interpolate(&text, self.environment) {
            Ok(done) => {
                let written = match done.names.is_empty() {
                    true => as_written,
                    false => Written::Interpolated(done.names),
                };
                let text = done.text;
                (Scalar { text, written }, None)
            }
            Err(error) => {
                let written = as_written;
                (Scalar { text, written }, Some(error))
            }
        }
    }

    /// Names a fault of a node that is passed over from now on. Its value stays out: what type it has is not known yet, so it may be
    /// a password.
    fn blame(&mut self, node: &Node, what: &str) {
        node.faulty.set(true);
        self.faults.push(Fault::at(node.place, &node.path, what));
    }
}

impl Node {
    fn new(path: String, place: Place, shape: Shape) -> Self {
        Self {
            path,
            place,
            shape,
            faulty: Cell::new(false),
            secret: Cell::new(false),
        }
    }
}

fn empty_section() -> Shape {
    Shape::Section(Vec::new())
}

fn place(span: Span) -> Place {
    Place {
        line: span.start.line(),
        column: span.start.col() + 1,
    }
}

fn syntax(text: &str, error: &ScanError) -> Fault {
    let marker = error.marker();
    let place = Place {
        line: marker.line(),
        column: marker.col() + 1,
    };
    let line = text.lines().nth(place.line.saturating_sub(1)).unwrap_or_default();
    let indentation = &line[..line.len() - line.trim_start().len()];
    let info = error.info();
    let what = if indentation.contains('\t') {
        "this is no YAML: a tab indents the line; use spaces".to_owned()
    } else if line.contains("${") && info.contains("flow") {
        format!("this is no YAML: {info}; inside [ ] and {{ }} put ${{NAME}} in quotes: [\"${{NAME}}\"]")
    } else {
        format!("this is no YAML: {info}; check indentation, colons and quotes here and in the line above")
    };
    Fault::at(place, "", &what)
}
