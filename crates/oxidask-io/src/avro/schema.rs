//! Schemas: types by number, so that a type may hold itself.

use crate::json::{Beyond, Json, Raw, parse};
use oxidask_core::{Error, Result};
use std::collections::HashMap;

/// A type of a schema; others are referred to by their number.
#[derive(Clone, Debug, PartialEq)]
pub enum Type {
    /// `null`
    Null,
    /// `boolean`
    Boolean,
    /// `int`
    Int,
    /// `long`
    Long,
    /// `float`
    Float,
    /// `double`
    Double,
    /// `bytes`
    Bytes,
    /// `string`
    String,
    /// `fixed` of some bytes.
    Fixed(usize),
    /// `enum` of some symbols.
    Enum(Vec<String>),
    /// `array` of a type.
    Array(usize),
    /// `map` of texts to a type.
    Map(usize),
    /// One of some types.
    Union(Vec<usize>),
    /// Names and types of fields; and the defaults of those that have one, as JSON.
    Record(Vec<Field>),
}

/// A field of a record.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Its type's number.
    pub of: usize,
    /// The JSON of its default.
    pub default: Option<String>,
}

/// What values of a type mean: `timestamp-millis`, `decimal` …
#[derive(Clone, Debug, PartialEq)]
pub struct Logical {
    /// The name.
    pub name: String,
    /// Digits after the point of decimals.
    pub scale: i64,
}

/// A schema: all its types, the last of which is that of records.
#[derive(Clone, Debug, Default)]
pub struct Schema {
    types: Vec<(Type, Option<Logical>)>,
    named: HashMap<String, usize>,
    root: usize,
}

impl Schema {
    /// Reads a schema.
    ///
    /// # Errors
    /// If it is none; the message says what is wrong.
    ///
    /// ```
    /// use oxidask_io::avro::{Schema, Type};
    ///
    /// let schema = Schema::parse(r#"{"type": "array", "items": "long"}"#)?;
    /// assert!(matches!(schema.get(schema.root()).0, Type::Array(of) if schema.get(of).0 == Type::Long));
    /// # Ok::<(), oxidask_core::Error>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self> {
        let mut schema = Schema::default();
        schema.root = schema.add(parse(text).map_err(|Beyond| invalid("it is no JSON"))?, "")?;
        Ok(schema)
    }

    /// The number of the type of the records.
    #[must_use]
    pub fn root(&self) -> usize {
        self.root
    }

    /// How many types there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.types.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.types.is_empty()
    }

    /// A type, and what its values mean.
    #[must_use]
    pub fn get(&self, number: usize) -> &(Type, Option<Logical>) {
        &self.types[number]
    }

    fn push(&mut self, of: Type, logical: Option<Logical>) -> usize {
        self.types.push((of, logical));
        self.types.len() - 1
    }

    fn add(&mut self, raw: Raw<'_>, space: &str) -> Result<usize> {
        match raw.decode().map_err(|Beyond| invalid("it is no JSON"))? {
            Json::Str(name) => match primitive(&name) {
                Some(of) => Ok(self.push(of, None)),
                None => {
                    let known = self.named.get(&full_name(&name, space)).or_else(|| self.named.get(&*name));
                    known.copied().ok_or_else(|| invalid(&format!("there is no type '{name}'")))
                }
            },
            Json::Array(raw) => {
                let mut types = Vec::new();
                each(raw, |element| {
                    types.push(self.add(element, space)?);
                    Ok(())
                })?;
                Ok(self.push(Type::Union(types), None))
            }
            Json::Object(raw) => self.add_object(raw, space),
            _ => Err(invalid("a type is a name, a list or an object")),
        }
    }

    fn add_object(&mut self, raw: Raw<'_>, space: &str) -> Result<usize> {
        let of = field(raw, "type")?.ok_or_else(|| invalid("a type has no \"type\""))?;
        let logical = logical_of(raw)?;
        let kind = match of.decode() {
            Ok(Json::Str(kind)) => kind,
            // `{"type": {…}}` is what is in it.
            _ => return self.add(of, space),
        };
        let need = |name: &str| field(raw, name)?.ok_or_else(|| invalid(&format!("'{kind}' has no \"{name}\"")));
        if !matches!(&*kind, "record" | "error" | "enum" | "fixed" | "array" | "map") {
            let number = self.add(of, space)?;
            if logical.is_some() {
                let of = self.types[number].0.clone();
                return Ok(self.push(of, logical));
            }
            return Ok(number);
        }
        if let "array" | "map" = &*kind {
            let inner = self.add(need(if kind == "array" { "items" } else { "values" })?, space)?;
            return Ok(self.push(if kind == "array" { Type::Array(inner) } else { Type::Map(inner) }, logical));
        }
        let own_space = field(raw, "namespace")?.map_or(Ok(space.to_owned()), text)?;
        let name = full_name(&text(need("name")?)?, &own_space);
        let space = name.rsplit_once('.').map_or("", |(space, _)| space).to_owned();
        // Named before its fields are read, which may refer to it.
        let number = self.push(Type::Null, logical);
        self.named.insert(name, number);
        self.types[number].0 = match &*kind {
            "fixed" => match need("size")?.decode() {
                Ok(Json::Int(size)) => Type::Fixed(usize::try_from(size).map_err(|_| invalid("a size is negative"))?),
                _ => return Err(invalid("a size is no number")),
            },
            "enum" => {
                let mut symbols = Vec::new();
                each(need("symbols")?, |symbol| {
                    symbols.push(text(symbol)?);
                    Ok(())
                })?;
                Type::Enum(symbols)
            }
            _ => {
                let mut fields = Vec::new();
                each(need("fields")?, |raw| {
                    let name = text(field(raw, "name")?.ok_or_else(|| invalid("a field has no name"))?)?;
                    let of = field(raw, "type")?.ok_or_else(|| invalid(&format!("the field '{name}' has no type")))?;
                    // Logical types may stand beside the type of a field.
                    let of = self.add(of, &space)?;
                    fields.push(Field { name, of, default: field(raw, "default")?.map(|raw| raw.text().to_owned()) });
                    Ok(())
                })?;
                Type::Record(fields)
            }
        };
        Ok(number)
    }
}

fn invalid(what: &str) -> Error {
    Error::value(format!("the Avro schema is not valid: {what}"))
}

fn primitive(name: &str) -> Option<Type> {
    Some(match name {
        "null" => Type::Null,
        "boolean" => Type::Boolean,
        "int" => Type::Int,
        "long" => Type::Long,
        "float" => Type::Float,
        "double" => Type::Double,
        "bytes" => Type::Bytes,
        "string" => Type::String,
        _ => return None,
    })
}

fn full_name(name: &str, space: &str) -> String {
    if space.is_empty() || name.contains('.') { name.to_owned() } else { format!("{space}.{name}") }
}

fn field<'a>(raw: Raw<'a>, name: &str) -> Result<Option<Raw<'a>>> {
    if !raw.is_object() {
        return Err(invalid("an object is needed"));
    }
    raw.get(name).map_err(|Beyond| invalid("it is no JSON"))
}

fn text(raw: Raw<'_>) -> Result<String> {
    match raw.decode() {
        Ok(Json::Str(text)) => Ok(text.into_owned()),
        _ => Err(invalid("a name is no text")),
    }
}

fn each<'a>(raw: Raw<'a>, mut see: impl FnMut(Raw<'a>) -> Result<()>) -> Result<()> {
    if !raw.text().starts_with('[') {
        return Err(invalid("a list is needed"));
    }
    let mut failed = None;
    let done = raw.each_element(|element| {
        see(element).map_err(|error| {
            failed = Some(error);
            Beyond
        })
    });
    match (failed, done) {
        (Some(error), _) => Err(error),
        (None, done) => done.map_err(|Beyond| invalid("it is no JSON")),
    }
}

fn logical_of(raw: Raw<'_>) -> Result<Option<Logical>> {
    let Some(name) = field(raw, "logicalType")? else { return Ok(None) };
    let scale = match field(raw, "scale")?.map(Raw::decode) {
        Some(Ok(Json::Int(scale))) => scale,
        _ => 0,
    };
    Ok(Some(Logical { name: text(name)?, scale }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemas_and_their_mistakes() {
        let tree = r#"{"type": "record", "name": "Node", "namespace": "a.b", "fields": [
            {"name": "next", "type": ["null", "Node"], "default": null},
            {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}}]}"#;
        let schema = Schema::parse(tree).unwrap();
        let Type::Record(fields) = &schema.get(schema.root()).0 else { panic!("no record") };
        assert_eq!(fields[0].default.as_deref(), Some("null"));
        assert_eq!(schema.get(fields[0].of).0, Type::Union(vec![1, 0]));
        assert_eq!(schema.get(fields[1].of).1.as_ref().unwrap().name, "timestamp-millis");
        for broken in ["", "12", r#""nothing""#, "{}", r#"{"type": "record", "name": "x"}"#, r#"{"type": "fixed"}"#] {
            assert!(Schema::parse(broken).is_err(), "{broken}");
        }
    }
}
