CREATE TABLE public.predictions (
    id UUID DEFAULT gen_random_uuid() NOT NULL,
    video_id UUID NOT NULL,
    model_name TEXT DEFAULT 'default' NOT NULL,
    model_version TEXT DEFAULT '1' NOT NULL,
    predicted_ctr DOUBLE PRECISION,
    predicted_roas DOUBLE PRECISION,
    logged_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
    CONSTRAINT predictions_pkey PRIMARY KEY (id),
    CONSTRAINT predictions_predicted_ctr_check CHECK (predicted_ctr BETWEEN 0 AND 1),
    CONSTRAINT predictions_predicted_roas_check CHECK (predicted_roas >= 0 AND predicted_roas < 'Infinity')
);
CREATE INDEX predictions_video_id_idx ON public.predictions (video_id);
COMMENT ON TABLE public.predictions IS 'One row is one prediction of one model version for one video.';
COMMENT ON COLUMN public.predictions.video_id IS 'public.videos.id.';
COMMENT ON COLUMN public.predictions.predicted_ctr IS 'Click-through rate (all clicks), a fraction 0..1.';
COMMENT ON COLUMN public.predictions.predicted_roas IS 'Return on ad spend, a multiple.';
COMMENT ON COLUMN public.predictions.logged_at IS 'When the prediction was made known to the database.';
