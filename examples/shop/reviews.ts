// What customers say, in two versions: v2 also shows stars, for which it asks ratings over gRPC.
import { credentials, makeClientConstructor, Metadata } from '@grpc/grpc-js'
import { caller, json, serve } from './http.ts'
import { type Rating, ratingsService } from './ratings-service.ts'

const version = process.env['VERSION'] ?? 'v1'
const RATINGS = process.env['UPSTREAM_RATINGS'] ?? 'ratings:9090'

const Ratings = makeClientConstructor(ratingsService, 'shop.Ratings')
const ratings = version === 'v1' ? undefined : new Ratings(RATINGS, credentials.createInsecure())

function ratingOf(id: string): Promise<Rating | { readonly error: string }> {
  const { path, requestSerialize, responseDeserialize } = ratingsService.Get
  const deadline = { deadline: Date.now() + 5000 }
  return new Promise((resolve) => {
    ratings?.makeUnaryRequest(
      path,
      requestSerialize,
      responseDeserialize,
      { id },
      new Metadata(),
      deadline,
      (error, rating) => resolve(rating ?? { error: error?.details ?? 'no rating' }),
    )
  })
}

serve(async (request, response) => {
  const id = request.url?.slice(1) ?? ''
  const rating = version === 'v1' ? undefined : await ratingOf(id)
  const stars = rating !== undefined && 'stars' in rating ? rating.stars : undefined
  json(response, 200, { service: 'reviews', version, caller: caller(request), text: 'Warm and light.', stars, rating })
})
