//! `GET /v1/models`: the agents, the aliases, and the models that may be chosen.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use letterhead_context::{Code, Problem};
use serde::Serialize;

use crate::app::App;
use crate::arrival::{InPath, Reading};
use crate::error::{Failure, shown};

/// A model in OpenAI's form.
#[derive(Debug, Serialize)]
pub struct Model {
    id: String,
    object: &'static str,
    created: i64,
    owned_by: &'static str,
}

/// A list of models in OpenAI's form.
#[derive(Debug, Serialize)]
pub struct Models {
    object: &'static str,
    data: Vec<Model>,
}

fn models(app: &App) -> Vec<Model> {
    let model = |id: &str, owned_by| Model { id: id.to_owned(), object: "model", created: 0, owned_by };
    let agents = app.registry.agents().map(|agent| model(agent.name(), "agent"));
    let mut aliases: Vec<Model> = app.aliases.keys().map(|name| model(name, "alias")).collect();
    aliases.sort_by(|a, b| a.id.cmp(&b.id));
    let listed = app.registry.listed_models().map(|name| model(name, "provider"));
    agents.chain(aliases).chain(listed).collect()
}

/// All of them.
pub async fn list(State(app): State<Arc<App>>, _reading: Reading) -> Json<Models> {
    Json(Models { object: "list", data: models(&app) })
}

/// One of them.
pub async fn one(State(app): State<Arc<App>>, InPath(id): InPath, reading: Reading) -> Result<Json<Model>, Failure> {
    let found = models(&app).into_iter().find(|model| model.id == id);
    found.map(Json).ok_or_else(|| {
        let detail = format!("there is no model `{}`; `GET /v1/models` lists them", shown(&id));
        reading.failure(Problem::new(Code::ModelNotFound, detail).with_param("model"))
    })
}
