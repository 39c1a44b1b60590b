//! What a conversation is about.

use sea_orm::entity::prelude::*;

/// An item, book, order or product of the shop.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "subject")]
pub struct Model {
    /// `item`, `book`, `order` or `product`.
    #[sea_orm(primary_key, auto_increment = false)]
    pub kind: String,
    /// The shop's id of it.
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// What to call it.
    pub title: Option<String>,
    /// Who sells it.
    pub owner_id: Option<String>,
    /// Its page.
    pub url: Option<String>,
    /// Its picture.
    pub image_url: Option<String>,
    /// The seller.
    #[sea_orm(belongs_to, from = "owner_id", to = "id")]
    pub owner: BelongsTo<Option<super::app_user::Entity>>,
}

impl ActiveModelBehavior for ActiveModel {}
