//! `$metadata`: a small EDMX with the sets, their keys and their properties.

use std::fmt::Write as _;

use super::edm::Kind;
use super::schema::{Access, Set};

/// The metadata document (contract ams-v2 section 2.3: EDMX, `application/xml`).
pub(crate) fn document() -> String {
    let mut types = String::new();
    let mut sets = String::new();
    for set in Set::ALL {
        let schema = set.schema();
        let _ = write!(
            types,
            r#"<EntityType Name="{}"><Key><PropertyRef Name="{}"/></Key>"#,
            schema.type_name,
            schema.key()
        );
        for property in schema.properties {
            let nullable = property.name != schema.key() && property.access != Access::OnceRequired;
            let (name, kind) = (property.name, type_of(property.kind));
            let _ = write!(types, r#"<Property Name="{name}" Type="{kind}" Nullable="{nullable}"/>"#);
        }
        types.push_str("</EntityType>");
        let qualified = super::render::qualified(schema);
        let _ = write!(sets, r#"<EntitySet Name="{}" EntityType="{qualified}"/>"#, schema.name);
    }
    format!(
        concat!(
            r#"<?xml version="1.0" encoding="utf-8"?>"#,
            r#"<edmx:Edmx Version="1.0" xmlns:edmx="http://schemas.microsoft.com/ado/2007/06/edmx">"#,
            r#"<edmx:DataServices m:DataServiceVersion="3.0" xmlns:m="http://schemas.microsoft.com/ado/2007/08/dataservices/metadata">"#,
            r#"<Schema Namespace="Microsoft.Cloud.Media.Vod.Rest.Data.Models" xmlns="http://schemas.microsoft.com/ado/2009/11/edm">"#,
            r#"{}<EntityContainer Name="MediaServices" m:IsDefaultEntityContainer="true">{}</EntityContainer>"#,
            r#"</Schema></edmx:DataServices></edmx:Edmx>"#
        ),
        types, sets
    )
}

fn type_of(kind: Kind) -> String {
    match kind {
        Kind::Text => "Edm.String".to_owned(),
        Kind::Int32 => "Edm.Int32".to_owned(),
        Kind::Int64 => "Edm.Int64".to_owned(),
        Kind::Double => "Edm.Double".to_owned(),
        Kind::Boolean => "Edm.Boolean".to_owned(),
        Kind::DateTime => "Edm.DateTime".to_owned(),
        // complex types are not declared here: nobody who reads JSON needs their members
        Kind::Complex => "Edm.Untyped".to_owned(),
        Kind::Collection(of) => format!("Collection({of})"),
    }
}
