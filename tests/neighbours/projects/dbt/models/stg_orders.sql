{{ config(materialized='view') }}
select order_id, customer_id, placed_on, amount from {{ ref('raw_orders') }}
