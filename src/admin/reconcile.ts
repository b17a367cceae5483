/**
 * Having the server look at once, and begin a rollout anew.
 * @module
 */
import { PolicyUnknownError } from '../errors.ts';
import type { PolicyId } from '../terminal/terminal.ts';
import type { AdminApiOptions } from './api.ts';
import { statusAnswer } from './policy-status.ts';
import { type AdminRoute, listOf, nullable, objectOf, refTo, route } from './route.ts';
import { problemAnswer } from './status.ts';

type Options = Pick<AdminApiOptions, 'policies' | 'reload' | 'reconciler' | 'statuses'>;

/** `POST /reconcile` and `POST /policies/{id}/retry`. */
export function reconcileRoutes({ policies, reload, reconciler, statuses }: Options): readonly AdminRoute[] {
  return [
    route({
      method: 'POST',
      path: '/reconcile',
      id: 'reconcile',
      summary: 'Reads the policies anew and looks at every terminal; answers when that is done.',
      answers: {
        200: objectOf({
          revision: { type: 'string', description: 'Of the policies that are in force now.' },
          source: nullable('string', {
            description: 'What their source calls that state, such as a Git commit.',
          }),
          problems: listOf(refTo('PolicyProblem')),
          terminals: { type: 'integer' },
          queued: { type: 'integer', description: 'Terminals that wait for work on them.' },
        }),
      },
      handle: async () => {
        await reload();
        await reconciler.resync();
        const { revision, source = null, problems } = policies.current;
        return {
          revision,
          source,
          problems: problems.map(problemAnswer),
          terminals: [...reconciler.entries].length,
          queued: reconciler.queued,
        };
      },
    }),
    route({
      method: 'POST',
      path: '/policies/{id}/retry',
      id: 'retryPolicy',
      summary: "Begins the rollout of a policy's newest revision anew, e.g. after an image was pushed.",
      params: { id: "The policy's id, as in /p/{id}/." },
      answers: { 200: refTo('PolicyStatus') },
      problems: [404],
      handle: ({ params: { id = '' } }) => {
        const policy = policies.current.policies.get(id as PolicyId);
        if (policy === undefined) throw new PolicyUnknownError(id);
        reconciler.rollouts.retry(policy.id);
        return statusAnswer(statuses.of(policy));
      },
    }),
  ];
}
