{{ config(materialized='incremental', unique_key='placed_on') }}
select placed_on, sum(amount) as total from {{ ref('stg_orders') }}
{% if is_incremental() %} where placed_on >= (select max(placed_on) from {{ this }}) {% endif %}
group by placed_on
