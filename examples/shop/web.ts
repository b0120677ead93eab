// The shop's front: a page, made of what products and reviews say. It passes on the headers that tracing and canaries need.
import { ask, caller, json, serve } from './http.ts'

const PRODUCTS = `http://${process.env['UPSTREAM_PRODUCTS'] ?? 'products'}`
const REVIEWS = `http://${process.env['UPSTREAM_REVIEWS'] ?? 'reviews'}`

serve(async (request, response) => {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://web')
  if (pathname === '/slow') {
    setTimeout(() => json(response, 200, { service: 'web' }), Number(searchParams.get('ms') ?? 100))
    return
  }
  const [product, reviews] = await Promise.all([ask(`${PRODUCTS}/42`, request), ask(`${REVIEWS}/42`, request)])
  if (pathname === '/api') {
    const status = product.status === 200 && reviews.status === 200 ? 200 : 502
    return json(response, status, { service: 'web', caller: caller(request), product, reviews })
  }
  const stars = reviews.body['stars'] === undefined ? '' : ` ${'*'.repeat(Number(reviews.body['stars']))}`
  response.setHeader('content-type', 'text/html; charset=utf-8')
  response.end(
    `<h1>${String(product.body['name'])}</h1><p>${String(product.body['stock'])} in stock</p>` +
      `<p>${String(reviews.body['text'])}${stars} <small>(reviews ${String(reviews.body['version'])})</small></p>\n`,
  )
})
