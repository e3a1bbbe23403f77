{{ config(enabled=var('break_a_model')) }}
select order_id, amount / (amount - amount) as share from {{ ref('stg_orders') }}
