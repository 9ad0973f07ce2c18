//! Reading what a client sent, field by field, so that every mistake is told at once and with its place.
//!
//! In two steps, because they are answered differently. [`Tree::parse`] takes any JSON and keeps it as it was sent;
//! what does not parse is 400. [`read`] then takes the fields that a request has; what is wrong, missing, unknown or
//! there twice is 422, each with a JSON pointer (RFC 6901). Query parameters go the second step too, as an object of
//! texts.
//!
//! [`described`] takes the same way with nothing sent, and notes what is asked for: what the interface is said to take
//! cannot differ from what it takes.

use std::{cell::RefCell, fmt, ops::RangeInclusive};

use schemars::JsonSchema;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_json::json;

use crate::spelling::{Spelled, Spelling};

/// The most mistakes that one answer tells.
const ERRORS_MAX: usize = 50;

/// Text without control characters, as a regular expression of ECMA-262: JSON schema has no word for it.
const NO_CONTROLS: &str = "^[^\\u0000-\\u001f\\u007f-\\u009f]*$";

/// JSON as it was sent: keys in their order, twice when they were sent twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tree {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool,
    /// A number without a point or an exponent that fits 64 bits.
    Integer(i64),
    /// Any other number. No field takes one.
    OtherNumber,
    /// A string.
    Text(String),
    /// An array.
    List(Vec<Self>),
    /// An object.
    Object(Vec<(String, Self)>),
}

/// One mistake and where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct FieldError {
    /// A JSON pointer into the body, or `/` and the name of a query parameter.
    pub pointer: String,
    /// What is wrong, following the name of the field: `must be text`.
    pub detail: String,
}

/// Something is wrong, and is noted where it was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Noted;

/// What a request is made of: a body, or a query.
pub trait FromFields: Sized {
    /// One that is right, as it is sent on a platform with the demo's catalogue. `None`: there is nothing to show.
    fn example() -> Option<serde_json::Value> {
        None
    }

    /// Takes the fields. All are read before the first wrong one ends it, so that every mistake is noted.
    fn from_fields(fields: &mut Fields<'_>) -> Result<Self, Noted>;
}

/// A request that takes nothing.
#[derive(Debug)]
pub struct Nothing;

impl FromFields for Nothing {
    fn from_fields(_: &mut Fields<'_>) -> Result<Self, Noted> {
        Ok(Self)
    }
}

/// Reads the fields of `tree`, or tells every mistake.
pub fn read<T: FromFields>(tree: &Tree) -> Result<T, Vec<FieldError>> {
    let errors = RefCell::default();
    let value = Value(Sent::Value(tree, Place::Root, &errors)).object(T::from_fields);
    let errors = errors.into_inner();
    match value {
        Ok(value) if errors.is_empty() => Ok(value),
        _ => Err(errors),
    }
}

/// What an object has to be, by what a request takes of it.
#[derive(Debug, Clone, Default)]
pub struct Shape {
    /// Its fields, in the order in which they are read.
    pub fields: Vec<FieldShape>,
}

/// What one field has to be.
#[derive(Debug, Clone)]
pub struct FieldShape {
    /// Its name.
    pub name: &'static str,
    /// Its value, as a JSON schema.
    pub schema: serde_json::Value,
    /// Whether it must be there. One that need not may also be `null`.
    pub is_required: bool,
}

/// What a `T` is read from.
pub fn described<T: FromFields>() -> Shape {
    shape(T::from_fields)
}

fn shape<T>(read: impl FnOnce(&mut Fields<'_>) -> Result<T, Noted>) -> Shape {
    let mut shape = Shape::default();
    // nothing was sent, so nothing comes of it; what was asked for is noted
    let _ = read(&mut Fields(Source::Described(&mut shape)));
    shape
}

impl Shape {
    /// The JSON schema of the object.
    pub fn schema(&self) -> serde_json::Value {
        let property = |field: &FieldShape| {
            let schema = field.schema.clone();
            let schema = if field.is_required { schema } else { json!({"anyOf": [schema, {"type": "null"}]}) };
            (field.name.to_owned(), schema)
        };
        let properties: serde_json::Map<_, _> = self.fields.iter().map(property).collect();
        let required: Vec<_> = self.fields.iter().filter(|field| field.is_required).map(|field| field.name).collect();
        json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
    }
}

impl Tree {
    /// The tree of a JSON document. `Err` says where it stops being one. Nesting is limited to 128 levels.
    pub fn parse(json: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(json)
    }

    /// The parameters of a query (`limit=20&cursor=abc`) as an object of texts. What is no UTF-8 becomes U+FFFD.
    pub fn of_query(query: &str) -> Self {
        let pairs = form_urlencoded::parse(query.as_bytes());
        Self::Object(pairs.map(|(name, value)| (name.into_owned(), Self::Text(value.into_owned()))).collect())
    }
}

/// Where a value is. Written out only when it is wrong.
#[derive(Debug, Clone, Copy)]
enum Place<'a> {
    Root,
    Field { of: &'a Place<'a>, name: &'a str },
    Item { of: &'a Place<'a>, index: usize },
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Field { of, name } => write!(f, "{of}/{}", name.replace('~', "~0").replace('/', "~1")),
            Self::Item { of, index } => write!(f, "{of}/{index}"),
        }
    }
}

/// One value of what was sent, and where it is.
#[derive(Debug, Clone, Copy)]
pub struct Value<'a>(Sent<'a>);

#[derive(Debug, Clone, Copy)]
enum Sent<'a> {
    Value(&'a Tree, Place<'a>, &'a RefCell<Vec<FieldError>>),
    /// Nothing was sent: what is asked for is noted here, as a JSON schema.
    Described(&'a RefCell<serde_json::Value>),
}

impl<'a> Value<'a> {
    /// What was sent; where nothing was, notes what is asked for.
    fn or_described(&self, schema: impl FnOnce() -> serde_json::Value) -> Result<&'a Tree, Noted> {
        match self.0 {
            Sent::Value(tree, ..) => Ok(tree),
            Sent::Described(described) => {
                described.replace(schema());
                Err(Noted)
            }
        }
    }

    /// Notes that this value is wrong.
    pub fn wrong<T>(&self, detail: impl Into<String>) -> Result<T, Noted> {
        match self.0 {
            Sent::Value(_, place, errors) => note(errors, place, detail),
            Sent::Described(_) => Err(Noted),
        }
    }

    /// Text of so many characters, none of them a control character.
    pub fn text(&self, length: RangeInclusive<usize>) -> Result<String, Noted> {
        let schema = || json!({"type": "string", "minLength": length.start(), "maxLength": length.end(), "pattern": NO_CONTROLS});
        let Tree::Text(text) = self.or_described(schema)? else { return self.wrong("must be text") };
        if !length.contains(&text.chars().count()) {
            return self.wrong(format!("must have {} to {} characters", length.start(), length.end()));
        }
        if text.contains(char::is_control) {
            return self.wrong("must not contain control characters");
        }
        Ok(text.clone())
    }

    /// Text of so many characters in a certain spelling.
    pub fn spelled(&self, length: RangeInclusive<usize>, spelling: &Spelling) -> Result<String, Noted> {
        self.or_described(|| {
            json!({"type": "string", "minLength": length.start(), "maxLength": length.end(), "pattern": spelling.pattern})
        })?;
        let text = self.text(length)?;
        if spelling.is_of(&text) { Ok(text) } else { self.wrong(spelling.must) }
    }

    /// One of these words.
    pub fn word<T: Copy>(&self, words: &[(&str, T)]) -> Result<T, Noted> {
        let spellings = || words.iter().map(|(word, _)| *word);
        let tree = self.or_described(|| json!({"type": "string", "enum": spellings().collect::<Vec<_>>()}))?;
        let said = words.iter().find(|(word, _)| *tree == Tree::Text((*word).to_owned()));
        match said {
            Some((_, meaning)) => Ok(*meaning),
            None => self.wrong(format!("must be one of {}", spellings().collect::<Vec<_>>().join(", "))),
        }
    }

    /// Text that is the spelling of a `T`.
    pub fn parsed<T: Spelled<Err: fmt::Display>>(&self) -> Result<T, Noted> {
        let Tree::Text(text) = self.or_described(T::schema)? else { return self.wrong("must be text") };
        text.parse().or_else(|error: T::Err| self.wrong(error.to_string()))
    }

    /// A whole number.
    pub fn whole_number(&self, range: RangeInclusive<i64>) -> Result<i64, Noted> {
        match self.or_described(|| whole_number_schema(&range))? {
            Tree::Integer(number) if range.contains(number) => Ok(*number),
            _ => self.wrong(whole_number_from(&range)),
        }
    }

    /// A whole number written as text, as in a query: as JSON writes it, without a plus and zeros before it.
    pub fn whole_number_in_text(&self, range: RangeInclusive<i64>) -> Result<i64, Noted> {
        let Tree::Text(text) = self.or_described(|| whole_number_schema(&range))? else {
            return self.wrong("must be text");
        };
        match text.parse::<i64>() {
            Ok(number) if range.contains(&number) && number.to_string() == *text => Ok(number),
            _ => self.wrong(whole_number_from(&range)),
        }
    }

    /// A list of so many items; each is read with its index, even when one before it was wrong.
    pub fn list<T>(
        &self,
        length: RangeInclusive<usize>,
        mut read: impl FnMut(usize, Value<'_>) -> Result<T, Noted>,
    ) -> Result<Vec<T>, Noted> {
        let (tree, place, errors) = match self.0 {
            Sent::Value(tree, place, errors) => (tree, place, errors),
            Sent::Described(described) => {
                let items = schema_of(|value| read(0, value));
                described.replace(
                    json!({"type": "array", "items": items, "minItems": length.start(), "maxItems": length.end()}),
                );
                return Err(Noted);
            }
        };
        let Tree::List(items) = tree else { return self.wrong("must be a list") };
        if !length.contains(&items.len()) {
            return self.wrong(format!("must have {} to {} items", length.start(), length.end()));
        }
        let item = |(index, tree): (usize, &Tree)| {
            read(index, Value(Sent::Value(tree, Place::Item { of: &place, index }, errors)))
        };
        let items: Vec<Result<T, Noted>> = items.iter().enumerate().map(item).collect();
        items.into_iter().collect()
    }

    /// An object, with no other fields than those that `read` takes.
    pub fn object<T>(&self, read: impl FnOnce(&mut Fields<'_>) -> Result<T, Noted>) -> Result<T, Noted> {
        let (tree, place, errors) = match self.0 {
            Sent::Value(tree, place, errors) => (tree, place, errors),
            Sent::Described(described) => {
                described.replace(shape(read).schema());
                return Err(Noted);
            }
        };
        let Tree::Object(entries) = tree else { return self.wrong("must be an object") };
        let mut fields = Fields(Source::Sent(Object { entries, place: &place, errors, known: Vec::new() }));
        let value = read(&mut fields);
        fields.refuse_unknown();
        value
    }
}

/// The JSON schema of what `read` asks of a value.
fn schema_of<T>(read: impl FnOnce(Value<'_>) -> Result<T, Noted>) -> serde_json::Value {
    let described = RefCell::new(json!({}));
    let _ = read(Value(Sent::Described(&described)));
    described.into_inner()
}

/// The fields of one object.
#[derive(Debug)]
pub struct Fields<'a>(Source<'a>);

#[derive(Debug)]
enum Source<'a> {
    Sent(Object<'a>),
    Described(&'a mut Shape),
}

/// An object that was sent.
#[derive(Debug)]
struct Object<'a> {
    entries: &'a [(String, Tree)],
    place: &'a Place<'a>,
    errors: &'a RefCell<Vec<FieldError>>,
    known: Vec<&'static str>,
}

impl Fields<'_> {
    /// A field that must be there.
    pub fn required<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(Value<'_>) -> Result<T, Noted>,
    ) -> Result<T, Noted> {
        let object = match &mut self.0 {
            Source::Sent(object) => object,
            Source::Described(shape) => {
                shape.fields.push(FieldShape { name, schema: schema_of(read), is_required: true });
                return Err(Noted);
            }
        };
        match object.find(name)? {
            Some(value) => read(value),
            None => note(object.errors, Place::Field { of: object.place, name }, "is missing"),
        }
    }

    /// A field that may be absent or `null`.
    pub fn optional<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(Value<'_>) -> Result<T, Noted>,
    ) -> Result<Option<T>, Noted> {
        let object = match &mut self.0 {
            Source::Sent(object) => object,
            Source::Described(shape) => {
                shape.fields.push(FieldShape { name, schema: schema_of(read), is_required: false });
                return Err(Noted);
            }
        };
        match object.find(name)? {
            None | Some(Value(Sent::Value(Tree::Null, ..))) => Ok(None),
            Some(value) => read(value).map(Some),
        }
    }

    fn refuse_unknown(&self) {
        if let Source::Sent(Object { entries, place, errors, known }) = &self.0 {
            for (name, _) in entries.iter().filter(|(name, _)| !known.contains(&name.as_str())) {
                let _: Result<(), Noted> = note(errors, Place::Field { of: place, name }, "is not known here");
            }
        }
    }
}

impl<'a> Object<'a> {
    /// A field that is there twice is wrong: which of the two counts is nothing to guess.
    fn find(&mut self, name: &'static str) -> Result<Option<Value<'a>>, Noted> {
        self.known.push(name);
        let place = Place::Field { of: self.place, name };
        let mut found = self.entries.iter().filter(|(key, _)| key == name);
        let first = found.next();
        if found.next().is_some() {
            return note(self.errors, place, "must be there once");
        }
        Ok(first.map(|(_, tree)| Value(Sent::Value(tree, place, self.errors))))
    }
}

/// Notes a mistake; nothing can be read where there is one.
fn note<T>(errors: &RefCell<Vec<FieldError>>, place: Place<'_>, detail: impl Into<String>) -> Result<T, Noted> {
    let mut errors = errors.borrow_mut();
    if errors.len() < ERRORS_MAX {
        errors.push(FieldError { pointer: place.to_string(), detail: detail.into() });
    }
    Err(Noted)
}

fn whole_number_schema(range: &RangeInclusive<i64>) -> serde_json::Value {
    json!({"type": "integer", "minimum": range.start(), "maximum": range.end()})
}

fn whole_number_from(range: &RangeInclusive<i64>) -> String {
    format!("must be a whole number from {} to {}", range.start(), range.end())
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Tree, E> {
        Ok(Tree::Bool)
    }

    fn visit_i64<E>(self, number: i64) -> Result<Tree, E> {
        Ok(Tree::Integer(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Tree, E> {
        Ok(i64::try_from(number).map_or(Tree::OtherNumber, Tree::Integer))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Tree, E> {
        Ok(Tree::OtherNumber)
    }

    fn visit_str<E>(self, text: &str) -> Result<Tree, E> {
        Ok(Tree::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Tree, E> {
        Ok(Tree::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Tree, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Tree::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Tree, A::Error> {
        let mut object = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            object.push(entry);
        }
        Ok(Tree::Object(object))
    }
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
