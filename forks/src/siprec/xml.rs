//! A small XML document as a tree: names without prefixes, attributes, text. Bounded in every direction.
//!
//! There are no document types and no entities but the five that XML itself has: what names others is refused.

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::metadata::MetadataError;

/// The longest document that is read, bytes.
pub(super) const BYTES_MAX: usize = 128 * 1024;
/// How deep elements may stand in each other.
pub(super) const DEPTH_MAX: usize = 16;
/// The most elements of a document.
pub(super) const ELEMENTS_MAX: usize = 2_000;
/// The most attributes of an element.
pub(super) const ATTRIBUTES_MAX: usize = 16;

/// One element.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Element {
    /// Its name without a prefix.
    pub(super) name: String,
    /// Names without prefixes, and values; namespaces are left out.
    pub(super) attributes: Vec<(String, String)>,
    /// The text directly inside it, blanks at both ends left out.
    pub(super) text: String,
    pub(super) children: Vec<Element>,
}

impl Element {
    /// Every child of that name.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The first child of that name.
    pub(super) fn child(&self, name: &str) -> Option<&Element> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The text of the first child of that name, when it has any.
    pub(super) fn text_of(&self, name: &str) -> Option<&str> {
        self.child(name).map(|child| child.text.as_str()).filter(|text| !text.is_empty())
    }

    /// The value of the first attribute that has one of these names.
    pub(super) fn attribute(&self, names: &[&str]) -> Option<&str> {
        let value = |name: &&str| self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        names.iter().find_map(value).map(str::trim).filter(|value| !value.is_empty())
    }
}

/// Reads a document.
///
/// # Errors
/// When it is not well formed, larger than is read, or names entities.
pub(super) fn read(text: &str) -> Result<Element, MetadataError> {
    within(text.len(), BYTES_MAX, "bytes")?;
    let mut reader = Reader::from_str(text);
    reader.config_mut().check_end_names = true;
    let mut open: Vec<Element> = Vec::new();
    let mut elements = 0;
    let mut root = None;
    loop {
        let event = reader.read_event().map_err(|error| malformed(&error.to_string()))?;
        match event {
            Event::Start(tag) => {
                count(&mut elements)?;
                within(open.len() + 1, DEPTH_MAX, "elements inside each other")?;
                open.push(element(&tag)?);
            }
            Event::Empty(tag) => {
                count(&mut elements)?;
                within(open.len() + 1, DEPTH_MAX, "elements inside each other")?;
                close(element(&tag)?, &mut open, &mut root)?;
            }
            Event::End(_) => {
                let element = open.pop().ok_or_else(|| malformed("an end without a beginning"))?;
                close(element, &mut open, &mut root)?;
            }
            Event::Text(text) => append(&mut open, &text.decode().map_err(|error| malformed(&error.to_string()))?),
            Event::CData(text) => append(&mut open, &text.decode().map_err(|error| malformed(&error.to_string()))?),
            Event::GeneralRef(name) => {
                let name = name.decode().map_err(|error| malformed(&error.to_string()))?;
                append(&mut open, letter(&name)?.encode_utf8(&mut [0; 4]));
            }
            Event::DocType(_) => return Err(MetadataError::Entities),
            Event::Decl(_) | Event::Comment(_) | Event::PI(_) => {}
            Event::Eof => break,
        }
    }
    if let Some(element) = open.last() {
        return Err(malformed(&format!("<{}> has no end", shortened(&element.name))));
    }
    root.ok_or_else(|| malformed("no element"))
}

fn count(elements: &mut usize) -> Result<(), MetadataError> {
    *elements += 1;
    within(*elements, ELEMENTS_MAX, "elements")
}

fn close(mut element: Element, open: &mut [Element], root: &mut Option<Element>) -> Result<(), MetadataError> {
    element.text.truncate(element.text.trim_end().len());
    match open.last_mut() {
        Some(parent) => parent.children.push(element),
        None if root.is_none() => *root = Some(element),
        None => return Err(malformed("more than one document")),
    }
    Ok(())
}

fn append(open: &mut [Element], text: &str) {
    if let Some(element) = open.last_mut() {
        let text = if element.text.is_empty() { text.trim_start() } else { text };
        element.text.push_str(text);
    }
}

fn element(tag: &BytesStart<'_>) -> Result<Element, MetadataError> {
    let name = String::from_utf8_lossy(tag.local_name().as_ref()).into_owned();
    let mut attributes = Vec::new();
    for attribute in tag.attributes() {
        let attribute = attribute.map_err(|error| malformed(&error.to_string()))?;
        within(attributes.len() + 1, ATTRIBUTES_MAX, "attributes of one element")?;
        if attribute.key.as_namespace_binding().is_some() {
            continue;
        }
        let key = String::from_utf8_lossy(attribute.key.local_name().as_ref()).into_owned();
        attributes.push((key, unescaped(&String::from_utf8_lossy(&attribute.value))?));
    }
    Ok(Element { name, attributes, text: String::new(), children: Vec::new() })
}

/// An attribute's value with its references replaced.
fn unescaped(value: &str) -> Result<String, MetadataError> {
    let mut text = String::with_capacity(value.len());
    let mut rest = value;
    while let Some((before, reference)) = rest.split_once('&') {
        text.push_str(before);
        let (name, after) = reference.split_once(';').ok_or_else(|| malformed("& without ;"))?;
        text.push(letter(name)?);
        rest = after;
    }
    text.push_str(rest);
    Ok(text)
}

/// What `&name;` stands for.
fn letter(name: &str) -> Result<char, MetadataError> {
    let number = match name.strip_prefix("#x").or_else(|| name.strip_prefix("#X")) {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => name.strip_prefix('#').and_then(|digits| digits.parse().ok()),
    };
    match (name, number) {
        ("amp", _) => Ok('&'),
        ("lt", _) => Ok('<'),
        ("gt", _) => Ok('>'),
        ("quot", _) => Ok('"'),
        ("apos", _) => Ok('\''),
        (_, Some(number)) => char::from_u32(number).ok_or_else(|| malformed("a reference to no letter")),
        (_, None) => Err(MetadataError::Entities),
    }
}

fn within(found: usize, limit: usize, unit: &'static str) -> Result<(), MetadataError> {
    if found > limit { Err(MetadataError::TooLarge { found, limit, unit }) } else { Ok(()) }
}

fn malformed(why: &str) -> MetadataError {
    MetadataError::Malformed(shortened(why))
}

/// At most 80 characters, for messages.
fn shortened(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_attributes_and_text() {
        let root = read(
            "<?xml version='1.0'?><!-- c --><a:r xmlns:a='urn:x' a:id=\" 1&amp;2&#x41; \">\n t <b/>\n <b>&lt;&#65;<![CDATA[<&]]></b></a:r>",
        )
        .expect("well formed");
        assert_eq!(root.name, "r");
        assert_eq!(root.attributes, [("id".to_owned(), " 1&2A ".to_owned())]);
        assert_eq!(root.attribute(&["x", "id"]), Some("1&2A"));
        assert_eq!(root.text, "t");
        assert_eq!(root.all("b").map(|b| b.text.as_str()).collect::<Vec<_>>(), ["", "<A<&"]);
        assert_eq!((root.text_of("b"), root.text_of("c")), (None, None));
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        for (text, expected) in [
            ("", "the metadata is not well formed: no element"),
            ("<a>", "the metadata is not well formed: <a> has no end"),
            ("<a></b>", "the metadata is not well formed: ill-formed document: expected `</a>`, but `</b>` was found"),
            ("<a/><b/>", "the metadata is not well formed: more than one document"),
            ("<a>&b;</a>", "the metadata names entities, which are not read"),
            ("<a b='&c;'/>", "the metadata names entities, which are not read"),
            ("<!DOCTYPE a [<!ENTITY b 'bb'>]><a/>", "the metadata names entities, which are not read"),
            (&"<a>".repeat(17), "the metadata has 17 elements inside each other, expected at most 16"),
            (&format!("<a>{}</a>", "<b/>".repeat(2_000)), "the metadata has 2001 elements, expected at most 2000"),
            (&" ".repeat(BYTES_MAX + 1), "the metadata has 131073 bytes, expected at most 131072"),
        ] {
            let error = read(text).expect_err("not readable").to_string();
            assert!(error.starts_with(expected) || expected.starts_with(&error), "{error}\n{expected}");
        }
    }
}
