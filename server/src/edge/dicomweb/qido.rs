//! QIDO-RS (PS3.18 10.6): studies, series and instances by their attributes, from the relay's own index.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use serde_json::{Map, Value as Json};
use utoipa_axum::routes;

use medrelay_core::id::Uid;
use medrelay_dicom::json::{Tag, VR, attribute, key, person_name, put};

use super::{Keep, address, bad_query, has_it, kept, target, unchanged, whole};
use crate::edge::dicomweb::accept::{accepted, json};
use crate::http::access::{Api, Routes, Rule, Who};
use crate::http::problem::Problem;
use crate::service::{ImageQuery, Range, Series, StoredImage, Study, token_hash};

pub(super) fn routes(routes: Routes, rule: Rule) -> Routes {
    routes
        .add(routes!(qido_studies), rule)
        .add(routes!(qido_all_series), rule)
        .add(routes!(qido_all_instances), rule)
        .add(routes!(qido_series), rule)
        .add(routes!(qido_study_instances), rule)
        .add(routes!(qido_instances), rule)
}

/// What a query string holds, or why it cannot be read.
type Pairs = Result<Query<Vec<(String, String)>>, QueryRejection>;

/// Answers at most, unless asked for fewer or more.
const LIMIT: i64 = 100;
/// Answers at most.
const MOST: i64 = 1000;
/// Inside one study: a viewer wants all of it.
const MOST_INSIDE: i64 = 10_000;
/// The longest value and the most pairs that are read.
const VALUE_BYTES: usize = 4096;
const PAIRS: usize = 64;

/// Studies that the caller may see and that fit, newest first. Attributes are given by keyword or tag.
#[utoipa::path(
    get, path = "/dicomweb/studies", tag = "dicomweb",
    responses((status = 200, content_type = "application/dicom+json"), (status = 400, body = Problem))
)]
async fn qido_studies(
    State(api): State<Api>,
    who: Who,
    headers: HeaderMap,
    pairs: Pairs,
) -> Result<Response, Problem> {
    let asked = Asked::read(pairs, &headers, Level::Study, None)?;
    let hits = api.service.search_studies(&who.caller, &asked.query).await?;
    let found = hits.into_iter().map(|hit| {
        let mut model = Map::new();
        of_study(&mut model, &hit.study);
        let modalities = hit.modalities.into_iter().map(Json::from);
        put(&mut model, Tag(0x0008, 0x0061), VR::CS, modalities);
        put(&mut model, Tag(0x0020, 0x1206), VR::IS, [hit.series.into()]);
        put(&mut model, Tag(0x0020, 0x1208), VR::IS, [hit.study.instances.into()]);
        available(&mut model, format!("/dicomweb/studies/{}", hit.study.uid));
        model
    });
    asked.answer(found.collect())
}

/// Series in every study that the caller may see.
#[utoipa::path(
    get, path = "/dicomweb/series", tag = "dicomweb",
    responses((status = 200, content_type = "application/dicom+json"), (status = 400, body = Problem))
)]
async fn qido_all_series(
    State(api): State<Api>,
    who: Who,
    headers: HeaderMap,
    pairs: Pairs,
) -> Result<Response, Problem> {
    let asked = Asked::read(pairs, &headers, Level::Series, None)?;
    series(&api, &who, asked, None).await
}

/// The series of a study.
#[utoipa::path(
    get, path = "/dicomweb/studies/{study}/series", tag = "dicomweb",
    params(("study" = String, Path)),
    responses((status = 200, content_type = "application/dicom+json"), (status = 404, body = Problem))
)]
async fn qido_series(
    State(api): State<Api>,
    who: Who,
    Path(study): Path<String>,
    headers: HeaderMap,
    pairs: Pairs,
) -> Result<Response, Problem> {
    let study = target(&study, None, None)?.study;
    let asked = Asked::read(pairs, &headers, Level::Series, Some((&study, None)))?;
    series(&api, &who, asked, Some(&study)).await
}

/// Instances in every study that the caller may see.
#[utoipa::path(
    get, path = "/dicomweb/instances", tag = "dicomweb",
    responses((status = 200, content_type = "application/dicom+json"), (status = 400, body = Problem))
)]
async fn qido_all_instances(
    State(api): State<Api>,
    who: Who,
    headers: HeaderMap,
    pairs: Pairs,
) -> Result<Response, Problem> {
    let asked = Asked::read(pairs, &headers, Level::Instance, None)?;
    instances(&api, &who, asked, None).await
}

/// The instances of a study.
#[utoipa::path(
    get, path = "/dicomweb/studies/{study}/instances", tag = "dicomweb",
    params(("study" = String, Path)),
    responses((status = 200, content_type = "application/dicom+json"), (status = 404, body = Problem))
)]
async fn qido_study_instances(
    State(api): State<Api>,
    who: Who,
    Path(study): Path<String>,
    headers: HeaderMap,
    pairs: Pairs,
) -> Result<Response, Problem> {
    let study = target(&study, None, None)?.study;
    let asked = Asked::read(pairs, &headers, Level::Instance, Some((&study, None)))?;
    instances(&api, &who, asked, Some(&study)).await
}

/// The instances of a series.
#[utoipa::path(
    get, path = "/dicomweb/studies/{study}/series/{series}/instances", tag = "dicomweb",
    params(("study" = String, Path), ("series" = String, Path)),
    responses((status = 200, content_type = "application/dicom+json"), (status = 404, body = Problem))
)]
async fn qido_instances(
    State(api): State<Api>,
    who: Who,
    Path((study, series)): Path<(String, String)>,
    headers: HeaderMap,
    pairs: Pairs,
) -> Result<Response, Problem> {
    let study = target(&study, None, None)?.study;
    let asked = Asked::read(pairs, &headers, Level::Instance, Some((&study, Some(&series))))?;
    instances(&api, &who, asked, Some(&study)).await
}

async fn series(
    api: &Api,
    who: &Who,
    asked: Asked,
    study: Option<&Uid>,
) -> Result<Response, Problem> {
    let hits = api.service.search_series(&who.caller, study, &asked.query).await?;
    let found = hits.into_iter().map(|hit| {
        let mut model = Map::new();
        of_study(&mut model, &hit.study);
        of_series(&mut model, &hit.series);
        put(&mut model, Tag(0x0020, 0x1209), VR::IS, [hit.instances.into()]);
        let place = format!("/dicomweb/studies/{}/series/{}", hit.study.uid, hit.series.uid);
        available(&mut model, place);
        model
    });
    asked.answer(found.collect())
}

async fn instances(
    api: &Api,
    who: &Who,
    asked: Asked,
    study: Option<&Uid>,
) -> Result<Response, Problem> {
    let hits = api.service.search_instances(&who.caller, study, &asked.query).await?;
    let found = hits.into_iter().map(|(study, image)| {
        let mut model = Map::new();
        of_study(&mut model, &study);
        of_series(&mut model, &image.series);
        of_instance(&mut model, &image);
        available(&mut model, address(&study.uid, &image.series.uid, &image.instance.uid));
        model
    });
    asked.answer(found.collect())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Study,
    Series,
    Instance,
}

/// A search as it was asked for.
struct Asked {
    query: ImageQuery,
    limit: i64,
    media: &'static str,
    known: HeaderMap,
}

impl Asked {
    fn read(
        pairs: Pairs,
        headers: &HeaderMap,
        level: Level,
        inside: Option<(&Uid, Option<&str>)>,
    ) -> Result<Self, Problem> {
        let Query(pairs) = pairs.map_err(|_| bad_query("the query string cannot be read"))?;
        if pairs.len() > PAIRS || pairs.iter().any(|(_, value)| value.len() > VALUE_BYTES) {
            return Err(bad_query("the query string is too long"));
        }
        let media = json(&accepted(headers, None))?;
        let mut query = ImageQuery::default();
        let (usual, most) =
            if inside.is_some() { (MOST_INSIDE, MOST_INSIDE) } else { (LIMIT, MOST) };
        let mut limit = usual;
        for (name, value) in pairs {
            let number = || value.parse::<i64>().ok().filter(|number| *number >= 0);
            match name.as_str() {
                "limit" => {
                    let wanted = number().ok_or_else(|| bad_query("limit is a number"))?;
                    limit = wanted.min(most);
                }
                "offset" => {
                    query.offset = number().ok_or_else(|| bad_query("offset is a number"))?;
                }
                // Every attribute that the index has is in every answer.
                "includefield" => {}
                "fuzzymatching" if value == "false" => {}
                "fuzzymatching" => return Err(bad_query("fuzzymatching is not done here")),
                name => ask(&mut query, level, name, value.trim())?,
            }
        }
        if let Some((study, series)) = inside {
            query.studies = vec![study.to_string()];
            if let Some(series) = series {
                query.series = vec![target(study.as_str(), Some(series), None)?]
                    .into_iter()
                    .filter_map(|target| target.series.map(|series| series.to_string()))
                    .collect();
            }
        }
        // One more than is shown, to know whether there are more.
        query.limit = limit + 1;
        Ok(Self { query, limit, media, known: headers.clone() })
    }

    fn answer(self, mut found: Vec<Map<String, Json>>) -> Result<Response, Problem> {
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let more = found.len() > limit;
        found.truncate(limit);
        let text = serde_json::to_string(&found)
            .map_err(|_| Problem::new(500, "INTERNAL", "the answer cannot be written"))?;
        let mut tag = token_hash(&text);
        tag.truncate(32);
        if has_it(&self.known, &tag) {
            return Ok(unchanged(&tag, Keep::Ask));
        }
        let mut response = kept(whole(self.media, text), &tag, Keep::Ask);
        if more {
            let warning = "299 medrelay \"there are more results; ask with an offset\"";
            response.headers_mut().insert("warning", HeaderValue::from_static(warning));
        }
        Ok(response)
    }
}

/// Adds one attribute to a search.
fn ask(query: &mut ImageQuery, level: Level, name: &str, value: &str) -> Result<(), Problem> {
    let unknown = || bad_query(format!("{} cannot be searched for here", shown(name)));
    let tag = attribute(name).ok_or_else(unknown)?;
    if value.is_empty() || value == "*" {
        return Ok(());
    }
    let text = Some(value.to_owned());
    let uids = || uids(value).ok_or_else(|| bad_query(format!("{} takes UIDs", shown(name))));
    let number =
        || value.parse().ok().ok_or_else(|| bad_query(format!("{} is a number", shown(name))));
    let range = |digits| {
        range(value, digits).ok_or_else(|| bad_query(format!("{} takes a range", shown(name))))
    };
    match (tag, level) {
        (Tag(0x0020, 0x000D), _) => query.studies = uids()?,
        (Tag(0x0010, 0x0020), _) => query.patient_id = text,
        (Tag(0x0010, 0x0010), _) => query.patient_name = text,
        (Tag(0x0010, 0x0030), _) => query.birth_date = Some(range(8)?),
        (Tag(0x0010, 0x0040), _) => query.patient_sex = text,
        (Tag(0x0008, 0x0050), _) => query.accession = text,
        (Tag(0x0020, 0x0010), _) => query.study_number = text,
        (Tag(0x0008, 0x1030), _) => query.study_description = text,
        (Tag(0x0008, 0x0020), _) => query.study_date = Some(range(8)?),
        (Tag(0x0008, 0x0030), _) => query.study_time = Some(range(6)?),
        (Tag(0x0008, 0x0061 | 0x0060), Level::Study) => query.modality = text,
        (Tag(0x0008, 0x0060), _) => query.modality = text,
        (Tag(0x0020, 0x000E), _) => query.series = uids()?,
        (Tag(0x0008, 0x103E), Level::Series | Level::Instance) => query.series_description = text,
        (Tag(0x0018, 0x0015), _) => query.body_part = text,
        (Tag(0x0020, 0x0011), Level::Series | Level::Instance) => {
            query.series_number = Some(number()?);
        }
        (Tag(0x0008, 0x0018), Level::Instance) => query.instances = uids()?,
        (Tag(0x0008, 0x0016), Level::Instance) => query.sop_classes = uids()?,
        (Tag(0x0020, 0x0013), Level::Instance) => query.instance_number = Some(number()?),
        _ => return Err(unknown()),
    }
    Ok(())
}

/// A name as it may stand in an answer: never more than a keyword.
fn shown(name: &str) -> String {
    match attribute(name) {
        Some(tag) => key(tag),
        None => "an unknown attribute".to_owned(),
    }
}

fn uids(value: &str) -> Option<Vec<String>> {
    let parts = value.split([',', '\\']).map(|part| Uid::parse(part.trim()));
    parts.map(|uid| uid.ok().map(String::from)).collect()
}

/// A single value or a range of dates or times: `20260101`, `20260101-`, `-20260131`.
fn range(value: &str, digits: usize) -> Option<Range> {
    let part = |text: &str| {
        let text = text.trim();
        let sound = text.len() <= digits && text.bytes().all(|byte| byte.is_ascii_digit());
        let sound = sound && (digits == 6 || matches!(text.len(), 0 | 8));
        sound.then(|| text.to_owned())
    };
    let (from, to) = value.split_once('-').unwrap_or((value, value));
    let (from, mut to) = (part(from)?, part(to)?);
    if digits == 6 && !to.is_empty() {
        // A time may go on with minutes, seconds and their parts.
        to.push('Z');
    }
    (!from.is_empty() || !to.is_empty()).then_some(Range { from, to })
}

fn of_study(model: &mut Map<String, Json>, study: &Study) {
    let mut text = |tag, vr, value: Option<&String>| {
        let value = value.filter(|value| !value.is_empty());
        put(model, tag, vr, value.map(|value| Json::from(value.as_str())));
    };
    text(Tag(0x0008, 0x0005), VR::CS, Some(&"ISO_IR 192".to_owned()));
    text(Tag(0x0008, 0x0020), VR::DA, study.study_date.as_ref());
    text(Tag(0x0008, 0x0030), VR::TM, study.study_time.as_ref());
    text(Tag(0x0008, 0x0050), VR::SH, study.accession.as_ref());
    text(Tag(0x0008, 0x1030), VR::LO, study.description.as_ref());
    text(Tag(0x0010, 0x0020), VR::LO, Some(study.patient_id.reveal()));
    text(Tag(0x0010, 0x0021), VR::LO, study.patient_issuer.as_ref());
    text(Tag(0x0010, 0x0030), VR::DA, study.patient_birth_date.reveal().as_ref());
    text(Tag(0x0010, 0x0040), VR::CS, study.patient_sex.as_ref());
    text(Tag(0x0020, 0x0010), VR::SH, study.study_number.as_ref());
    put(model, Tag(0x0010, 0x0010), VR::PN, person_name(study.patient_name.reveal()));
    put(model, Tag(0x0020, 0x000D), VR::UI, [study.uid.as_str().into()]);
}

fn of_series(model: &mut Map<String, Json>, series: &Series) {
    let text = |value: Option<&String>| value.map(|value| Json::from(value.as_str()));
    put(model, Tag(0x0008, 0x0060), VR::CS, [series.modality.as_str().into()]);
    put(model, Tag(0x0008, 0x103E), VR::LO, text(series.description.as_ref()));
    put(model, Tag(0x0018, 0x0015), VR::CS, text(series.body_part.as_ref()));
    put(model, Tag(0x0020, 0x000E), VR::UI, [series.uid.as_str().into()]);
    put(model, Tag(0x0020, 0x0011), VR::IS, series.number.map(Json::from));
}

fn of_instance(model: &mut Map<String, Json>, image: &StoredImage) {
    let instance = &image.instance;
    put(model, Tag(0x0008, 0x0016), VR::UI, [instance.sop_class.as_str().into()]);
    put(model, Tag(0x0008, 0x0018), VR::UI, [instance.uid.as_str().into()]);
    put(model, Tag(0x0008, 0x3002), VR::UI, [instance.transfer_syntax.as_str().into()]);
    put(model, Tag(0x0020, 0x0013), VR::IS, instance.number.map(Json::from));
    if let (Some(rows), Some(columns)) = (instance.rows, instance.columns) {
        put(model, Tag(0x0028, 0x0008), VR::IS, [instance.frames.into()]);
        put(model, Tag(0x0028, 0x0010), VR::US, [rows.into()]);
        put(model, Tag(0x0028, 0x0011), VR::US, [columns.into()]);
    }
}

/// That it can be had now, and where.
fn available(model: &mut Map<String, Json>, place: String) {
    put(model, Tag(0x0008, 0x0056), VR::CS, ["ONLINE".into()]);
    put(model, Tag(0x0008, 0x1190), VR::UR, [place.into()]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_dates_and_times_are_read() {
        let range = |text: &str, digits| range(text, digits).map(|range| (range.from, range.to));
        let both = |from: &str, to: &str| Some((from.to_owned(), to.to_owned()));
        assert_eq!(range("20260105", 8), both("20260105", "20260105"));
        assert_eq!(range("20260105-", 8), both("20260105", ""));
        assert_eq!(range("-20260105", 8), both("", "20260105"));
        assert_eq!(range("0930-10", 6), both("0930", "10Z"));
        for bad in ["-", "2026", "20260105-x", "2026-01-05", "'; --"] {
            assert_eq!(range(bad, 8), None, "{bad}");
        }
    }

    #[test]
    fn attributes_are_known_by_keyword_and_tag_and_others_refused() {
        let mut query = ImageQuery::default();
        for (name, value) in [("PatientID", "P*"), ("00080050", "A1"), ("ModalitiesInStudy", "CT")]
        {
            ask(&mut query, Level::Study, name, value).expect("known");
        }
        assert_eq!(query.patient_id.as_deref(), Some("P*"));
        assert_eq!(query.accession.as_deref(), Some("A1"));
        assert_eq!(query.modality.as_deref(), Some("CT"));
        for name in ["SOPInstanceUID", "ReferringPhysicianName", "nonsense", "00400275.00400009"] {
            let problem = ask(&mut query, Level::Study, name, "x").expect_err(name);
            assert_eq!(problem.status, 400);
        }
        assert!(ask(&mut query, Level::Study, "StudyInstanceUID", "1.2,x").is_err());
    }
}
