//! What the gateway says that its interface is, read from the running platform: a route that is added is tested without
//! being named here.

use journeys::{customer::Customer, platform::Platform};
use serde_json::Value;

/// One method of one path.
#[derive(Debug, Clone)]
pub struct Operation {
    pub id: String,
    pub method: String,
    /// With its variable part in braces.
    pub path: String,
    /// Every method that the path has.
    pub methods: Vec<String>,
    /// As it stands in the document.
    pub described: Value,
}

/// The whole document.
#[derive(Debug)]
pub struct Interface {
    pub document: Value,
    pub operations: Vec<Operation>,
}

impl Interface {
    pub async fn of(platform: &Platform) -> Self {
        let document = Customer::nobody(platform).get("/openapi.json").await.expect(200).json();
        let paths = document["paths"].as_object().expect("it has paths");
        let operations = paths.iter().flat_map(|(path, methods)| {
            let methods = methods.as_object().expect("methods");
            let names: Vec<String> = methods.keys().map(|method| method.to_uppercase()).collect();
            methods.iter().map(move |(method, described)| Operation {
                id: described["operationId"].as_str().unwrap_or_else(|| panic!("{method} {path} has no id")).to_owned(),
                method: method.to_uppercase(),
                path: path.clone(),
                methods: names.clone(),
                described: described.clone(),
            })
        });
        Self { operations: operations.collect(), document }
    }

    pub fn operation(&self, id: &str) -> &Operation {
        self.operations.iter().find(|operation| operation.id == id).unwrap_or_else(|| panic!("no operation {id}"))
    }
}

impl Operation {
    /// The roles that may call it; none: anyone may.
    pub fn roles(&self) -> Vec<&str> {
        let alternatives = self.described["security"].as_array().into_iter().flatten();
        alternatives.filter_map(|one| one["token"][0].as_str()).collect()
    }

    /// The parameters that stand in this place: `path`, `query`, `header`.
    pub fn parameters(&self, place: &str) -> impl Iterator<Item = &Value> {
        let all = self.described["parameters"].as_array().into_iter().flatten();
        all.filter(move |parameter| parameter["in"] == place)
    }

    /// Whether it takes the header.
    pub fn takes_header(&self, name: &str) -> bool {
        self.parameters("header").any(|parameter| parameter["name"] == name)
    }

    /// The JSON body that it takes: `schema`, and `example` when there is one.
    pub fn body(&self) -> Option<&Value> {
        self.described.pointer("/requestBody/content/application~1json")
    }

    /// What it may answer with: statuses, as text.
    pub fn statuses(&self) -> Vec<&str> {
        let responses = self.described["responses"].as_object().expect("every operation answers");
        responses.keys().map(String::as_str).collect()
    }

    /// The media type of its answer when all goes well.
    pub fn told_as(&self) -> Option<&str> {
        let right = self.described["responses"].as_object()?.iter().find(|(status, _)| status.starts_with('2'))?.1;
        right["content"].as_object()?.keys().next().map(String::as_str)
    }
}
